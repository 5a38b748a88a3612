# What a new user does in a booted system that has counterpart and its examples: makes a job file, schedules it, sees the
# summary, breaks it, and is told by mail what to do. As root; it writes what it finds to /results.
set -eux

fails() { ! "$@"; }
mail=/results/mail
script=/usr/local/libexec/counterpart/notify.sh

# A system that sends no mail anywhere: its sendmail keeps what it gets.
[ -d /results ] && [ "$(systemd-detect-virt --container)" = systemd-nspawn ]
printf '%s\n' '#!/bin/sh' "[ \"\$*\" = '-t -i' ] && exec cat >>$mail" >/usr/sbin/sendmail.new
chmod 755 /usr/sbin/sendmail.new
mv /usr/sbin/sendmail.new /usr/sbin/sendmail
install -D -m 755 /usr/share/doc/counterpart/examples/notify.sh "$script"
"$script"
grep '^Subject: Test from Counterpart on ' "$mail"

# Something to clone, and a small disk.
mkdir -p /srv/data /srv/copy
seq 1000 >/srv/data/numbers
mount -t tmpfs -o size=8m copy /srv/copy

# A job, and a schedule for it.
counterpart job init data -- -s /srv/data -d /srv/copy --on-error "$script"
counterpart doctor --job data
counterpart schedule install --job data --daily 02:15
counterpart schedule list | grep '^data .* 02:15:00 '
systemctl start counterpart-data.service
counterpart schedule list | grep '^data .* success, '
cmp /srv/data/numbers /srv/copy/numbers

# The summary on a terminal.
TERM=xterm script -qec 'counterpart run data' /results/screen </dev/null
grep 'The clone is complete, after ' /results/screen
grep '^  Entries  *[0-9]' /results/screen
grep '^  Log  */var/log/counterpart/Counterpart_' /results/screen
grep '^  Next run  *.* 02:15:00 (data)' /results/screen
fails grep failed "$mail"

# The disk is full: the mail says which, and what to do.
head -c 20M /dev/zero | tr '\0' x >/srv/data/large
fails systemctl start counterpart-data.service
counterpart schedule list | grep '^data .* failed with code 74, '
grep "^Subject: Clone of $(uname -n) to /srv/copy failed with code 74\$" "$mail"
grep '^The clone of /srv/data to /srv/copy failed\.$' "$mail"
grep '^The destination /srv/copy is too small for this clone: ' "$mail"
grep '^What to do: make room at the destination (space or inodes), exclude more, or use a larger disk' "$mail"
log=$(sed -n 's/^Log: *//p' "$mail")
grep 'exited with code 74\.$' "$log"

# That is done, and now the source is not there.
rm /srv/data/large
systemctl start counterpart-data.service
mv /srv/data /srv/away
fails systemctl start counterpart-data.service
grep "^Subject: Clone of $(uname -n) to /srv/copy failed with code 65\$" "$mail"
grep '^What to do: check -s: is its disk mounted, does the directory hold anything?$' "$mail"
fails counterpart check --job data

# That too, and all is well again.
mv /srv/away /srv/data
systemctl start counterpart-data.service
counterpart check --job data
[ "$(grep -c '^To: root$' "$mail")" = 3 ]

counterpart schedule remove data
rm /etc/counterpart/data.toml
umount /srv/copy
