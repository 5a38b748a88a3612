//! What the help of each command says below its options.

/// What is shown below the options that are most often needed.
pub const SHORT: &str = "\
counterpart --help has the other options, the exit codes, files and examples, as man counterpart has.
counterpart help COMMAND is about a command.";

/// What is shown below the options and the exit codes, and on the man page.
pub const MORE: &str = "\
Files:
  .PREFIX.counterpart.*  markers at the top of the destination; counterpart-files(5) explains them
  /var/log/counterpart, /Library/Logs/Counterpart  logs on Linux and macOS
  /var/lib/counterpart, /var/db/counterpart        what this machine remembers of its clones

Examples:
  counterpart -s / -d /mnt/clone -t
      Log what a clone of this Linux system would change
  counterpart -s / -d /mnt/clone --safety-net
      Clone it and keep what is deleted or overwritten for 30 days
  counterpart schedule install -- -s / -d /mnt/clone
      Clone it every night";

/// How `status` ends.
pub const STATUS_CODES: &str = "\
Exit codes:
  0   shown, whatever the state of the clones
  1   nothing is known of the clone that was named, or an internal error
  2   usage
  20  interrupted

States:
  ok          there is a complete clone, and no run has failed since
  warning     the same, but somebody should look at the warnings of the run that made it
  running     a run is under way (on Linux; others than root see their own runs)
  unfinished  there is no complete clone there: a run is under way or was killed
  failed      a run has failed since the last success
  never       no clone was ever completed
  unknown     what is remembered cannot be read

Examples:
  counterpart status
      Show every clone that this machine remembers
  counterpart status -d /mnt/clone --json
      Print what is known of one for a program";

/// How `forget` ends.
pub const FORGET_CODES: &str = "\
Exit codes:
  0   forgotten
  1   not run as root, a schedule still makes the clone, nothing is known of it, or an internal error
  2   usage
  20  interrupted
  80  a clone to this destination is being made

Examples:
  counterpart forget -d /mnt/clone
      Forget a clone by the path that status shows
  counterpart forget -d UUID=0a3407de-014b-458b-b5c1-848e92a327a3
      Forget a disk that was known by its UUID";

/// The states of the plugin.
pub const CHECK_CODES: &str = "\
Exit codes:
  0  OK: the last success is young enough and nothing is wrong with it
  1  WARNING: it is older than --warning, has warnings, or lies in the future
  2  CRITICAL: it is older than --critical, a run has failed since, none has ever succeeded, or
     damage was found in it
  3  UNKNOWN: nothing is known of the clone, the destination does not answer, or the usage is wrong

Examples:
  counterpart check
      Check every clone that this machine remembers
  counterpart check -d /mnt/clone -w 8d -c 15d
      Check a weekly clone";

/// How `setpass` ends.
pub const SETPASS_CODES: &str = "\
Exit codes:
  0   the password is stored, deleted, or can be read
  1   not run as root, or an internal error
  2   usage, or a password that cannot be stored
  92  no password is stored, or the store cannot be used";

/// How the doctor ends.
pub const DOCTOR_CODES: &str = "\
Exit codes:
  0      no check failed
  2      usage
  20     interrupted
  other  the code of the first FAIL, which is what a clone would exit with; see counterpart(8)";

/// How `restore` ends.
pub const RESTORE_CODES: &str = "\
Exit codes:
  0      everything is restored or listed
  1      not run as root, or an internal error
  2      usage: a path with .., a time that fits several nets, or two paths with one name
  3\u{2013}35   rsync's own code: not everything is restored; 128+N if signal N killed it
  65     a path is in no net, or there is no such net; nothing is restored
  66     the nets cannot be read, or the target exists or cannot be used; nothing is restored
  74     the target's disk is full: not everything is restored
  85     rsync not found
  86     wrong rsync

Examples:
  counterpart restore -d /mnt/clone --list /etc/fstab
      List the nets that hold a file
  counterpart restore -d /mnt/clone --at 2026-11-20 --to /root/back /etc/fstab
      Restore it as it was before the clone of that day";

/// How `run` ends.
pub const RUN_CODES: &str = "\
Exit codes:
  0      every clone is complete, or was skipped as it may be
  20     interrupted: no further clone was started
  84     a job's file is wrong, or there is none; it names the line and the column
  other  the code of the first clone that failed; see counterpart(8). With -t 70, if none did

Files:
  /etc/counterpart/NAME.toml                            a job, on Linux
  /Library/Application Support/Counterpart/NAME.toml    a job, on macOS

Examples:
  counterpart run nightly
      Make the clones of the job nightly
  counterpart run nightly --only usb-a -t
      Log what a clone to its destination usb-a would change";

/// How `job` ends.
pub const JOB_CODES: &str = "\
Exit codes:
  0   the file is written or printed
  1   not run as root, there is such a job already, or its file cannot be written
  2   usage, in the clone's arguments too
  84  the file would be wrong

Examples:
  counterpart job init nightly -- -s / -d UUID=0a3407de-014b-458b-b5c1-848e92a327a3 --safety-net
      Write the job nightly";

/// How `verify` ends.
pub const VERIFY_CODES: &str = "\
Exit codes:
  0      whatever could be compared is equal, but for what has changed at the source since the clone
  1      not run as root, or an internal error
  2      usage, or the source is not known
  20     interrupted: what was found until then is printed
  65     the source, or something in it, cannot be read, and no damage was found
  66     the clone cannot be read, is not complete, has no hashes (--alone), or something in it cannot be compared
  75     damage: the paths are printed; with --repair, it is not all repaired
  80     a clone is being made, or was begun meanwhile
  83     there was damage, and all of it is repaired (--repair)
  84     the job's file is wrong
  other  one of a clone's refusals, as 88 for another disk, or why a repair failed; see counterpart(8)

Examples:
  counterpart verify -d /mnt/clone
      Compare the whole clone with the source that this machine remembers
  counterpart verify --job nightly --sample 5%
      Read a twentieth of the files of each clone of a job, every day of another twentieth
  counterpart verify --alone -d UUID=0a3407de-014b-458b-b5c1-848e92a327a3
      Compare a clone with the hashes on it, when the machine that it was made of has died";

/// How `prove` ends.
pub const PROVE_CODES: &str = "\
Exit codes:
  0   the clone booted, and what it reports is right
  1   not run as root, QEMU cannot be used, or an internal error
  2   usage
  20  interrupted
  66  there is no such disk, it cannot be read, or it is in use
  79  the clone did not boot; the message says why and where its last screen is
  80  a clone to this disk is being made
  87  the disk is that of the running system

Examples:
  counterpart prove -d UUID=0a3407de-014b-458b-b5c1-848e92a327a3
      Boot the disk that has this filesystem
  counterpart prove -d /mnt/clone --firmware uefi
      Boot the disk of a mounted clone with UEFI firmware";

/// How `prepare` ends.
pub const PREPARE_CODES: &str = "\
Exit codes:
  0   the disk is prepared
  1   not run as root, a tool is missing, or a step failed: the message says what state the disk is in
  2   usage, or a passphrase that cannot be used
  20  interrupted: the message says what state the disk is in
  65  the system to be like cannot be read
  99  the disk is refused, or was not confirmed; nothing was written to it

Examples:
  counterpart prepare /dev/sdb --like /
      Show the plan for a second disk of this machine, and what is on the disk now
  counterpart prepare /dev/sdb --like / --erase S5Y1NJ0R123456
      Erase the disk with this serial number and prepare it";

/// How `schedule` ends.
pub const SCHEDULE_CODES: &str = "\
Exit codes:
  0      done
  1      not run as root, or launchd or systemd refused; the message quotes them
  2      usage, in the clone's arguments too
  other  a check of the clone's arguments failed; see counterpart(8)

Examples:
  counterpart schedule install --daily 02:15 -- -s / -d /mnt/clone
      Clone every night at a quarter past two
  counterpart schedule run clone
      Start it now";
