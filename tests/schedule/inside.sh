# Runs as root in the booted container; what it finds out goes to /results.
set -x
cd /root
odd='/srv/it'\''s 100% of $HOME; "\n" \\ ü'
mkdir -p "$odd/sub" /srv/plain /srv/copy
echo hello >"$odd/sub/file"
echo left out >"$odd/left out"
echo '/left out' >"/root/exc \$ludes"
echo plain >/srv/plain/file

report() { # NAME COMMAND…
    local name=$1 code=0
    shift
    "$@" >"/results/$name.out" 2>"/results/$name.err" || code=$?
    echo "$code" >"/results/$name.code"
}
wait_for() { # CONDITION…
    local tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ "$tries" -lt 900 ] || { echo "gave up: $*" >>/results/gave-up; return 1; }
        sleep 0.1
    done
}

report none counterpart schedule list

# A disk that is mounted now, and is not when the clone begins: the service mounts it.
mount /mnt/clone
report minute counterpart schedule install --every 1m --name minute -- -s "$odd" -d /mnt/clone -e 'exc $ludes'
umount /mnt/clone
report again counterpart schedule install --every 1m --name minute -- -s "$odd" -d /mnt/clone

# A run that was missed three days ago is made up for at once.
cat >/root/pre <<'PRE'
#!/bin/sh
systemd-inhibit --list >/results/inhibitors
systemctl show -p Nice -p IOSchedulingClass -p CPUSchedulingPolicy counterpart-missed.service >/results/priority
touch /run/pre-began
while [ -e /run/hold ]; do sleep 0.1; done
PRE
chmod 755 /root/pre
touch /run/hold
mkdir -p /var/lib/systemd/timers
touch -d '3 days ago' /var/lib/systemd/timers/stamp-counterpart-missed.timer
report missed counterpart schedule install --daily 00:00 --name missed -- -s /srv/plain -d /srv/copy -p /root/pre
wait_for test -e /run/pre-began
report running counterpart schedule list
report remove-running counterpart schedule remove missed
report run-running counterpart schedule run missed
rm /run/hold
wait_for test -e /srv/copy/.me.jedda.counterpart.completed
wait_for sh -c '[ "$(systemctl is-active counterpart-missed.service)" = inactive ]'

wait_for test -e /mnt/clone/.me.jedda.counterpart.completed
wait_for sh -c '[ "$(systemctl is-active counterpart-minute.service)" = inactive ]'
find /mnt/clone -mindepth 1 -printf '%P\n' | sort >/results/cloned
report list counterpart schedule list
report show counterpart schedule show minute
report timers systemctl list-timers --no-pager 'counterpart-*'

# Not at the very end of a minute, when the next run is about to begin.
wait_for sh -c '[ "$(date +%-S)" -lt 50 ] && [ "$(systemctl is-active counterpart-minute.service)" = inactive ]'

# With other times.
report replace counterpart schedule install --weekly Sun 03:30 --name minute --replace -- -s "$odd" -d /mnt/clone
report replaced systemctl show -p TimersCalendar counterpart-minute.timer

# The disk is gone.
umount /mnt/clone
: >/etc/fstab
systemctl daemon-reload
report run counterpart schedule run minute
wait_for sh -c '[ "$(systemctl is-active counterpart-minute.service)" = failed ]'
report no-disk counterpart schedule list
ls -A /mnt/clone >/results/mount-point

# A run that fails.
echo 'exit 1' >/root/pre
report run-bad counterpart schedule run missed
wait_for sh -c '[ "$(systemctl is-active counterpart-missed.service)" = failed ]'
report bad counterpart schedule list

# On battery, which a second condition stands for: only the first start becomes a run.
mkdir -p /srv/ac /etc/systemd/system/counterpart-ac.service.d
report on-ac counterpart schedule install --on-ac --name ac -- -s /srv/plain -d /srv/ac
report run-ac systemctl start counterpart-ac.service
printf '[Unit]\nConditionACPower=false\n' >/etc/systemd/system/counterpart-ac.service.d/battery.conf
systemctl daemon-reload
rm /srv/ac/.me.jedda.counterpart.completed
report run-skipped systemctl start counterpart-ac.service
report is-failed systemctl is-failed counterpart-ac.service
report skipped counterpart schedule list
ls -A /srv/ac >/results/ac
report remove-ac counterpart schedule remove ac
rm -r /etc/systemd/system/counterpart-ac.service.d
systemctl daemon-reload

# What is another's is left alone, and a unit that systemd knows from elsewhere is not hidden.
printf '[Service]\nExecStart=/bin/true\n' >/etc/systemd/system/counterpart-mine.service
printf '[Service]\nExecStart=/bin/true\n' >/run/systemd/system/counterpart-else.service
systemctl daemon-reload
report mine counterpart schedule install --name mine -- -s /srv/plain -d /srv/copy
report else counterpart schedule install --name else -- -s /srv/plain -d /srv/copy

report remove-minute counterpart schedule remove minute
report remove-missed counterpart schedule remove missed
report empty counterpart schedule list
ls -R /etc/systemd/system >/results/left
ls /var/lib/systemd/timers >/results/stamps
systemctl list-units --all --no-legend 'counterpart-*' >/results/units
touch /results/done
