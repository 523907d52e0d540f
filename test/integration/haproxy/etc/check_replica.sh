#!/bin/sh
mysql -h "$3" -P "$4" -u monitor -N -e \
    "SELECT member_role FROM performance_schema.replication_group_members
     WHERE member_id = @@server_uuid AND member_state = 'ONLINE'" | grep -q SECONDARY
