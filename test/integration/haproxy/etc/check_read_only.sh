#!/bin/sh
# check_read_only.sh FRONTEND-ADDRESS PORT ADDRESS PORT; the primary is who is not read-only.
test "$(mysql -h "$3" -P "$4" -u monitor -N -e 'SELECT @@global.read_only')" = 0
