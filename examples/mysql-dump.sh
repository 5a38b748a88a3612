#!/bin/sh
#
# A pre-clone script: dumps every MySQL or MariaDB database into one file, which the clone then takes along.
#
#     counterpart -s / -d /mnt/clone -p /usr/local/libexec/counterpart/mysql-dump.sh --strict-scripts
#
# The last good dump stays in place until a new one has been proved complete. With --strict-scripts a failed dump
# stops the clone; without it the clone goes on and takes yesterday's dump.
#
# On Debian, Ubuntu and Fedora, root may log in to MariaDB without a password and nothing needs to be set. Elsewhere
# put the account into the options file, owned by root and with mode 600, so that the password never shows in the
# list of processes:
#
#     [client]
#     user = backup
#     password = …
#
# The account must see all databases: GRANT SELECT, SHOW DATABASES, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES, PROCESS,
# RELOAD ON *.* is enough for most servers.
#
# --single-transaction gives one moment for InnoDB tables. MyISAM and Aria tables that change during the dump may not
# fit together.

set -eu
umask 077

# The dump must lie in the file system that is cloned: a clone does not cross into another one.
target=${MYSQL_DUMP_TARGET:-/var/backups/counterpart/mysql.sql}
# Need not exist, unless it is named in the environment.
options=${MYSQL_DUMP_OPTIONS:-/etc/counterpart/mysql.cnf}

PATH=${PATH:+$PATH:}/usr/bin:/bin:/usr/local/bin:/opt/homebrew/bin:/opt/local/bin:/usr/local/mysql/bin
LC_ALL=C
export PATH LC_ALL

fail() {
    printf 'mysql-dump: %s\n' "$1" >&2
    exit 1
}

# The first of two names that is a program here: MariaDB is giving up the names that begin with "mysql".
tool() {
    command -v "$1" || command -v "$2" || fail "neither $1 nor $2 is installed"
}

dumper=$(tool mysqldump mariadb-dump)
client=$(tool mysql mariadb)

# From here on "$@" is the option that names the options file, or nothing. It has to come first on a command line.
set --
if [ -r "$options" ]; then
    if [ -n "$(find "$options" -prune \( -perm -040 -o -perm -004 \))" ]; then
        printf 'mysql-dump: warning: %s can be read by others; run chmod 600 on it\n' "$options" >&2
    fi
    set -- "--defaults-extra-file=$options"
elif [ -n "${MYSQL_DUMP_OPTIONS:-}" ]; then
    fail "cannot read the options file $options"
fi

[ ! -d "$target" ] || fail "$target is a directory"
mkdir -p "$(dirname "$target")"

databases=$("$client" "$@" --batch --raw --skip-column-names --execute='SHOW DATABASES') ||
    fail "cannot list the databases (code $?)"

# Every server has this one, so an account that does not see it does not see everything. Such an account would get
# an empty dump, the words "Dump completed" and exit code 0.
printf '%s\n' "$databases" | grep -q -x mysql ||
    fail 'this account does not see the database "mysql": it lacks privileges, and the dump would be incomplete'

dump=$(mktemp "$target.XXXXXX")
trap 'rm -f "$dump"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

"$dumper" "$@" --all-databases --single-transaction --routines --events --comments >"$dump" ||
    fail "the dump failed (code $?); the old one is untouched"

case $(tail -n 1 "$dump") in
    '-- Dump completed'*) ;;
    *) fail 'the dump is cut short: its last line is not "-- Dump completed"; the old one is untouched' ;;
esac

created=$(sed -n '/^CREATE DATABASE /p' "$dump")
printf '%s\n' "$databases" | while IFS= read -r database; do
    case $database in
        # What the server makes up by itself is never dumped.
        information_schema | performance_schema | sys | ndbinfo) continue ;;
    esac
    case $created in
        *"\`$database\`"*) ;;
        *) fail "the database \"$database\" is not in the dump; the old one is untouched" ;;
    esac
done || exit 1 # the loop is a process of its own, and only it has stopped

[ -n "$(sed -n '/^CREATE TABLE /{p;q;}' "$dump")" ] ||
    fail 'the dump holds no table at all: the account lacks privileges; the old one is untouched'

mv -f "$dump" "$target"
printf 'mysql-dump: %s databases and %s bytes in %s\n' \
    "$(printf '%s\n' "$created" | wc -l | tr -d ' ')" "$(wc -c <"$target" | tr -d ' ')" "$target"
