#!/bin/sh
#
# A post-clone script: tells somebody that the clone is done, and what it did.
#
#     counterpart -s / -d /mnt/clone -o /usr/local/libexec/counterpart/notify.sh
#
# It runs after a success only. No news is therefore not good news: watch the completion mark as well, as
# SCHEDULING.md describes.
#
# Set these three; the first two must be those of the clone.

destination=${NOTIFY_DESTINATION:-/mnt/clone}
prefix=${NOTIFY_PREFIX:-me.jedda}
recipient=${NOTIFY_RECIPIENT:-root}

set -eu
PATH=${PATH:+$PATH:}/usr/bin:/bin:/usr/sbin:/sbin
export PATH

stats=$destination/.$prefix.counterpart.stats
subject="Clone of $(hostname) to $destination completed"

message() {
    printf '%s.\n\n' "$subject"
    if [ -r "$stats" ]; then
        cat "$stats"
    else
        printf 'There are no statistics at %s.\n' "$stats"
    fi
}

if command -v mail >/dev/null; then
    message | mail -s "$subject" "$recipient"
elif command -v logger >/dev/null; then
    message | logger -t counterpart
else
    # What a script prints goes into the log of the clone.
    message
fi
