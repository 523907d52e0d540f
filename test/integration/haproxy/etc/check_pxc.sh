#!/bin/bash
# One node takes the writes: synced, in the primary component, not read-only.
state=$(mysql -h "$3" -P "$4" -u monitor -N -e "SHOW GLOBAL STATUS LIKE 'wsrep_local_state'" |
    awk '{ print $2 }')
[ "$state" = 4 ]
