# Tries the units of the package in a system that is booted by packaging/test.sh.
exec >/results/log 2>&1
set -eux

fails() { ! "$@"; }

counterpart job init nightly -- -s /etc -d /mnt/clone
counterpart schedule install --job nightly
systemctl start counterpart-nightly.service
counterpart schedule list | grep '^nightly .* success, '

# What a new user does, from the job to the mail.
bash /root/new-user.sh

# The package's own template, which is enabled by hand.
systemctl enable --now counterpart@nightly.timer
systemctl list-timers --all 'counterpart@*' | grep ' counterpart@nightly.service'
systemctl start counterpart@nightly.service
[ "$(systemctl show -P Result counterpart@nightly.service)" = success ]
[ "$(systemctl show -P CPUSchedulingPolicy counterpart@nightly.service)" = 3 ]

# An upgrade restarts nothing.
since=$(systemctl show -P ActiveEnterTimestamp counterpart@nightly.timer)
dpkg --install /root/counterpart_*.deb
[ "$(systemctl show -P ActiveEnterTimestamp counterpart@nightly.timer)" = "$since" ]

dpkg --remove counterpart
fails systemctl is-active counterpart@nightly.timer
systemctl is-active counterpart-nightly.timer
[ -e /etc/systemd/system/counterpart-nightly.timer ]

dpkg --purge counterpart
fails systemctl is-active counterpart-nightly.timer
[ "$(systemctl show -P LoadState counterpart-nightly.service)" = not-found ]
[ "$(systemctl show -P LoadState counterpart@nightly.service)" = not-found ]
[ -e /etc/counterpart/nightly.toml ]
find /etc/systemd/system -name '*counterpart*' | fails grep .

touch /results/done
