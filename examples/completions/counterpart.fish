# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_counterpart_global_optspecs
    string join \n s/source= d/destination= e/exclude-from= exclude-caches exclude-if-present= b/backup-password= B/backup-keychain backup-dir= p/pre-script= o/post-script= g/organisation-prefix= t/test-run q/quiet v/verbose color= key-file= rsync= log-dir= keep-logs= log-changes= adopt allow-shrink full full-every= bwlimit= checksum inplace whole-file max-delete= no-space-check allow-folder strict-scripts allow-non-root retries= retry-wait= stall-timeout= vanished-ok metrics-file= ping= ping-file= on-error= skip-if-missing snapshot= snapshot-size= bootable filesystems= prove= verify-daily= hashes= safety-net= json h/help V/version
end

function __fish_counterpart_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_counterpart_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_counterpart_using_subcommand
    set -l cmd (__fish_counterpart_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c counterpart -n "__fish_counterpart_needs_command" -s s -l source -d 'Clone the contents of this directory, with or without a trailing slash' -r -F
complete -c counterpart -n "__fish_counterpart_needs_command" -s d -l destination -d 'Make this directory the clone; must exist' -r -F
complete -c counterpart -n "__fish_counterpart_needs_command" -s e -l exclude-from -d 'Exclude what matches the patterns in this file, in rsync\'s syntax, besides the built-in ones' -r -F
complete -c counterpart -n "__fish_counterpart_needs_command" -l exclude-if-present -d 'Exclude the contents of directories that hold an entry NAME, which stays; may be repeated' -r
complete -c counterpart -n "__fish_counterpart_needs_command" -s b -l backup-password -d 'Back up directory and database servers first, with this password; it shows in the process list: prefer -B' -r
complete -c counterpart -n "__fish_counterpart_needs_command" -l backup-dir -d 'Write the server backup here instead of /var/backups/counterpart' -r -F
complete -c counterpart -n "__fish_counterpart_needs_command" -s p -l pre-script -d 'Run this executable before the clone and log its output' -r -F
complete -c counterpart -n "__fish_counterpart_needs_command" -s o -l post-script -d 'Run this executable after a successful clone and log its output' -r -F
complete -c counterpart -n "__fish_counterpart_needs_command" -s g -l organisation-prefix -d 'Reverse-domain prefix of Counterpart\'s files at the destination' -r
complete -c counterpart -n "__fish_counterpart_needs_command" -l color -d 'Use colours: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c counterpart -n "__fish_counterpart_needs_command" -l key-file -d 'Open an encrypted destination (LUKS) with the key in this file, which only root may read' -r -F
complete -c counterpart -n "__fish_counterpart_needs_command" -l rsync -d 'Use this rsync instead of searching for one' -r -F
complete -c counterpart -n "__fish_counterpart_needs_command" -l log-dir -d 'Write the log to this directory' -r -F
complete -c counterpart -n "__fish_counterpart_needs_command" -l keep-logs -d 'Keep the newest N logs, this run\'s included; 0 keeps all' -r
complete -c counterpart -n "__fish_counterpart_needs_command" -l log-changes -d 'List each path that is created, changed or deleted in a file beside the log: yes or no' -r -f -a "yes\t''
no\t''"
complete -c counterpart -n "__fish_counterpart_needs_command" -l full-every -d 'Make such a full pass at least every DAYS days' -r
complete -c counterpart -n "__fish_counterpart_needs_command" -l bwlimit -d 'Write no more than so much a second: 500K, 20M or 1G' -r
complete -c counterpart -n "__fish_counterpart_needs_command" -l max-delete -d 'Refuse, with 76, to delete more than N entries, or P percent of the entries or bytes, of the clone' -r
complete -c counterpart -n "__fish_counterpart_needs_command" -l retries -d 'Retry the transfer up to N times after a transient failure' -r
complete -c counterpart -n "__fish_counterpart_needs_command" -l retry-wait -d 'Wait this long before each retry: 90s, 5min, 1h' -r
complete -c counterpart -n "__fish_counterpart_needs_command" -l stall-timeout -d 'Give up, with 30, after rsync has done nothing at all for this long; 0 or off waits forever' -r
complete -c counterpart -n "__fish_counterpart_needs_command" -l metrics-file -d 'Write metrics for Prometheus\'s textfile collector; the name must end in .prom' -r -F
complete -c counterpart -n "__fish_counterpart_needs_command" -l ping -d 'Ping this URL (healthchecks.io convention); it shows in the process list' -r
complete -c counterpart -n "__fish_counterpart_needs_command" -l ping-file -d 'Ping the URL in this file, which only root may read' -r -F
complete -c counterpart -n "__fish_counterpart_needs_command" -l on-error -d 'Run this executable after any failure and log its output' -r -F
complete -c counterpart -n "__fish_counterpart_needs_command" -l snapshot -d 'Clone from a snapshot of the source, so that all files are of one moment (Linux, btrfs and LVM)' -r -f -a "auto\t''
require\t''
never\t''"
complete -c counterpart -n "__fish_counterpart_needs_command" -l snapshot-size -d 'Give a snapshot of a logical volume room for this much change: 10% of it, or 5G; 20% or what is free by default' -r
complete -c counterpart -n "__fish_counterpart_needs_command" -l filesystems -d 'Clone these filesystems below the source too, into directories of the same clone (Linux)' -r
complete -c counterpart -n "__fish_counterpart_needs_command" -l prove -d 'Boot the clone in a virtual machine afterwards, as `counterpart prove` does (Linux)' -r -f -a "always\t''
daily\t''
weekly\t''
monthly\t''"
complete -c counterpart -n "__fish_counterpart_needs_command" -l verify-daily -d 'Read this share of the clone again after a run and compare it with the source, every day another: 3%' -r
complete -c counterpart -n "__fish_counterpart_needs_command" -l hashes -d 'Keep the hashes of the clone\'s files, by which it can be verified without its source (verify --alone)' -r -f -a "here\t''
both\t''"
complete -c counterpart -n "__fish_counterpart_needs_command" -l safety-net -d 'Keep what the clone deletes or overwrites for DAYS days, 30 without a number' -r
complete -c counterpart -n "__fish_counterpart_needs_command" -l exclude-caches -d 'Exclude the contents of directories with a valid CACHEDIR.TAG, which stays'
complete -c counterpart -n "__fish_counterpart_needs_command" -s B -l backup-keychain -d 'Back up servers first, with the password stored by `counterpart setpass`'
complete -c counterpart -n "__fish_counterpart_needs_command" -s t -l test-run -l dry-run -d 'Log what a clone would change, change nothing, and exit 70'
complete -c counterpart -n "__fish_counterpart_needs_command" -s q -l quiet -d 'Print only warnings and errors, on standard error'
complete -c counterpart -n "__fish_counterpart_needs_command" -s v -l verbose -d 'Print every line of the log and each changed path, on a terminal too'
complete -c counterpart -n "__fish_counterpart_needs_command" -l adopt -d 'Accept a destination that holds other files, or another disk than before; use it once, by hand'
complete -c counterpart -n "__fish_counterpart_needs_command" -l allow-shrink -d 'Allow a source that has shrunk by more than half, and deletions beyond --max-delete'
complete -c counterpart -n "__fish_counterpart_needs_command" -l full -d 'Let rsync look at every file, instead of only at what has changed since the last clone'
complete -c counterpart -n "__fish_counterpart_needs_command" -l checksum -d 'Compare all files by their contents, in a full pass; reads both ends'
complete -c counterpart -n "__fish_counterpart_needs_command" -l inplace -d 'Write what has changed of a large file into its copy, instead of replacing the copy (Linux)'
complete -c counterpart -n "__fish_counterpart_needs_command" -l whole-file -d 'Write a changed file whole, with --inplace too; without it that is so in any case'
complete -c counterpart -n "__fish_counterpart_needs_command" -l no-space-check -d 'Do not check beforehand whether the clone fits'
complete -c counterpart -n "__fish_counterpart_needs_command" -l allow-folder -d 'Clone into a directory below /mnt, /media or /Volumes even if no disk is mounted there'
complete -c counterpart -n "__fish_counterpart_needs_command" -l strict-scripts -d 'Fail the run if a script fails: 81 before the clone, 82 after it'
complete -c counterpart -n "__fish_counterpart_needs_command" -l allow-non-root -d 'Clone without root, keeping neither ownership nor special files'
complete -c counterpart -n "__fish_counterpart_needs_command" -l vanished-ok -d 'Exit 0 instead of 24 when files vanish from the source during the clone'
complete -c counterpart -n "__fish_counterpart_needs_command" -l skip-if-missing -d 'Exit 0 without cloning if the destination is missing'
complete -c counterpart -n "__fish_counterpart_needs_command" -l bootable -d 'Make the clone start a machine: its own fstab, boot loader and what they need (Linux)'
complete -c counterpart -n "__fish_counterpart_needs_command" -l json -d 'Print what a test run (-t) finds as JSON, and nothing else, on standard output'
complete -c counterpart -n "__fish_counterpart_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c counterpart -n "__fish_counterpart_needs_command" -s V -l version -d 'Print version'
complete -c counterpart -n "__fish_counterpart_needs_command" -f -a "setpass" -d 'Store the password for server backups'
complete -c counterpart -n "__fish_counterpart_needs_command" -f -a "doctor" -d 'Check what a clone would run into; read-only'
complete -c counterpart -n "__fish_counterpart_needs_command" -f -a "status" -d 'Show the clones that this machine remembers: how old they are, and when they are made next'
complete -c counterpart -n "__fish_counterpart_needs_command" -f -a "forget" -d 'Forget a clone that was given up, so that status and check no longer name it'
complete -c counterpart -n "__fish_counterpart_needs_command" -f -a "check" -d 'Check the state of clones; a Nagios-compatible plugin'
complete -c counterpart -n "__fish_counterpart_needs_command" -f -a "look" -d 'Prints what the markers at a destination say, for the plugin'
complete -c counterpart -n "__fish_counterpart_needs_command" -f -a "schedule" -d 'Manage scheduled clones'
complete -c counterpart -n "__fish_counterpart_needs_command" -f -a "restore" -d 'Restore what a clone with --safety-net deleted or overwrote'
complete -c counterpart -n "__fish_counterpart_needs_command" -f -a "verify" -d 'Read a clone again and compare it with its source'
complete -c counterpart -n "__fish_counterpart_needs_command" -f -a "prove" -d 'Boot a clone in a virtual machine and check it from inside'
complete -c counterpart -n "__fish_counterpart_needs_command" -f -a "prepare" -d 'Prepare a disk for a clone that boots: partitions and filesystems like a system\'s (Linux)'
complete -c counterpart -n "__fish_counterpart_needs_command" -f -a "run" -d 'Make the clones of a job, whose options stand in a file'
complete -c counterpart -n "__fish_counterpart_needs_command" -f -a "job" -d 'Write a job\'s file'
complete -c counterpart -n "__fish_counterpart_needs_command" -f -a "exclusions" -d 'Print the built-in exclusions, one pattern a line'
complete -c counterpart -n "__fish_counterpart_needs_command" -f -a "generate" -d 'Print the man page or a shell\'s completions'
complete -c counterpart -n "__fish_counterpart_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c counterpart -n "__fish_counterpart_using_subcommand setpass" -s g -l organisation-prefix -d 'Prefix of the clone\'s files' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand setpass" -l stdin -d 'Read the password, one line, from standard input instead of prompting'
complete -c counterpart -n "__fish_counterpart_using_subcommand setpass" -l delete -d 'Delete the stored password'
complete -c counterpart -n "__fish_counterpart_using_subcommand setpass" -l check -d 'Only check whether a password is stored and can be read'
complete -c counterpart -n "__fish_counterpart_using_subcommand setpass" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -s s -l source -d 'Check this source' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -s d -l destination -d 'Check this destination' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l job -d 'Check the clones of this job, by what its file says' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l only -d 'Check the clone to this destination of the job alone' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -s e -l exclude-from -d 'Exclude what matches the patterns in this file, in rsync\'s syntax, besides the built-in ones' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l exclude-if-present -d 'Exclude the contents of directories that hold an entry NAME, which stays; may be repeated' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -s b -l backup-password -d 'Back up directory and database servers first, with this password; it shows in the process list: prefer -B' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l backup-dir -d 'Write the server backup here instead of /var/backups/counterpart' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -s p -l pre-script -d 'Run this executable before the clone and log its output' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -s o -l post-script -d 'Run this executable after a successful clone and log its output' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -s g -l organisation-prefix -d 'Reverse-domain prefix of Counterpart\'s files at the destination' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l color -d 'Use colours: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l key-file -d 'Open an encrypted destination (LUKS) with the key in this file, which only root may read' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l rsync -d 'Use this rsync instead of searching for one' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l log-dir -d 'Write the log to this directory' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l keep-logs -d 'Keep the newest N logs, this run\'s included; 0 keeps all' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l log-changes -d 'List each path that is created, changed or deleted in a file beside the log: yes or no' -r -f -a "yes\t''
no\t''"
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l full-every -d 'Make such a full pass at least every DAYS days' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l bwlimit -d 'Write no more than so much a second: 500K, 20M or 1G' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l max-delete -d 'Refuse, with 76, to delete more than N entries, or P percent of the entries or bytes, of the clone' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l retries -d 'Retry the transfer up to N times after a transient failure' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l retry-wait -d 'Wait this long before each retry: 90s, 5min, 1h' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l stall-timeout -d 'Give up, with 30, after rsync has done nothing at all for this long; 0 or off waits forever' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l metrics-file -d 'Write metrics for Prometheus\'s textfile collector; the name must end in .prom' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l ping -d 'Ping this URL (healthchecks.io convention); it shows in the process list' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l ping-file -d 'Ping the URL in this file, which only root may read' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l on-error -d 'Run this executable after any failure and log its output' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l snapshot -d 'Clone from a snapshot of the source, so that all files are of one moment (Linux, btrfs and LVM)' -r -f -a "auto\t''
require\t''
never\t''"
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l snapshot-size -d 'Give a snapshot of a logical volume room for this much change: 10% of it, or 5G; 20% or what is free by default' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l filesystems -d 'Clone these filesystems below the source too, into directories of the same clone (Linux)' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l prove -d 'Boot the clone in a virtual machine afterwards, as `counterpart prove` does (Linux)' -r -f -a "always\t''
daily\t''
weekly\t''
monthly\t''"
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l verify-daily -d 'Read this share of the clone again after a run and compare it with the source, every day another: 3%' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l hashes -d 'Keep the hashes of the clone\'s files, by which it can be verified without its source (verify --alone)' -r -f -a "here\t''
both\t''"
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l safety-net -d 'Keep what the clone deletes or overwrites for DAYS days, 30 without a number' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l json -d 'Print the result as JSON'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l exclude-caches -d 'Exclude the contents of directories with a valid CACHEDIR.TAG, which stays'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -s B -l backup-keychain -d 'Back up servers first, with the password stored by `counterpart setpass`'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -s t -l test-run -l dry-run -d 'Log what a clone would change, change nothing, and exit 70'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -s q -l quiet -d 'Print only warnings and errors, on standard error'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -s v -l verbose -d 'Print every line of the log and each changed path, on a terminal too'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l adopt -d 'Accept a destination that holds other files, or another disk than before; use it once, by hand'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l allow-shrink -d 'Allow a source that has shrunk by more than half, and deletions beyond --max-delete'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l full -d 'Let rsync look at every file, instead of only at what has changed since the last clone'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l checksum -d 'Compare all files by their contents, in a full pass; reads both ends'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l inplace -d 'Write what has changed of a large file into its copy, instead of replacing the copy (Linux)'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l whole-file -d 'Write a changed file whole, with --inplace too; without it that is so in any case'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l no-space-check -d 'Do not check beforehand whether the clone fits'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l allow-folder -d 'Clone into a directory below /mnt, /media or /Volumes even if no disk is mounted there'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l strict-scripts -d 'Fail the run if a script fails: 81 before the clone, 82 after it'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l allow-non-root -d 'Clone without root, keeping neither ownership nor special files'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l vanished-ok -d 'Exit 0 instead of 24 when files vanish from the source during the clone'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l skip-if-missing -d 'Exit 0 without cloning if the destination is missing'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l bootable -d 'Make the clone start a machine: its own fstab, boot loader and what they need (Linux)'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c counterpart -n "__fish_counterpart_using_subcommand status" -s d -l destination -d 'Show this clone instead of all that this machine remembers' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand status" -s g -l organisation-prefix -d 'Prefix of the clone\'s files [default: me.jedda; without -d, any]' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand status" -s t -l timeout -d 'Leave a disk that does not answer alone after this long: seconds, or 10s, 1min' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand status" -l json -d 'Print JSON'
complete -c counterpart -n "__fish_counterpart_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c counterpart -n "__fish_counterpart_using_subcommand forget" -s d -l destination -d 'Forget the clone at this destination, which need not be there' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand forget" -s g -l organisation-prefix -d 'Prefix of the clone\'s files' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand forget" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c counterpart -n "__fish_counterpart_using_subcommand check" -s d -l destination -d 'Check this destination instead of all that this machine remembers' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand check" -l job -d 'Check the destinations of this job' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand check" -s w -l warning -d 'Return WARNING if the last success is older: minutes, or 26h, 2d, 90min' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand check" -s c -l critical -d 'Return CRITICAL if the last success is older: minutes, or 50h, 3d' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand check" -s g -l organisation-prefix -d 'Prefix of the clone\'s files [default: me.jedda; without -d, any]' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand check" -s t -l timeout -d 'Give up with UNKNOWN after this long: seconds, or 10s, 1min' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand check" -l json -d 'Print JSON instead of the plugin\'s lines; the exit code is the same'
complete -c counterpart -n "__fish_counterpart_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c counterpart -n "__fish_counterpart_using_subcommand check" -s V -l version -d 'Print version'
complete -c counterpart -n "__fish_counterpart_using_subcommand look" -s d -l destination -d 'The destination, absolute' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand look" -s g -l organisation-prefix -d 'The prefix of its markers' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand look" -s h -l help -d 'Print help'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and not __fish_seen_subcommand_from install show list run remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and not __fish_seen_subcommand_from install show list run remove" -f -a "install" -d 'Check a clone\'s arguments and schedule it'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and not __fish_seen_subcommand_from install show list run remove" -f -a "show" -d 'Show a schedule: its next run, last result and files'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and not __fish_seen_subcommand_from install show list run remove" -f -a "list" -d 'List the schedules with their next run and last result'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and not __fish_seen_subcommand_from install show list run remove" -f -a "run" -d 'Start a scheduled clone now, without waiting for it to finish'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and not __fish_seen_subcommand_from install show list run remove" -f -a "remove" -d 'Remove a schedule; clones and logs stay'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and __fish_seen_subcommand_from install" -l daily -d 'Run every day at this time; the default is 03:30' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and __fish_seen_subcommand_from install" -l weekly -d 'Run every week on this day at this time: Sun 04:00' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and __fish_seen_subcommand_from install" -l every -d 'Run at this interval, which must divide a day or an hour evenly: 2h, 15m' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and __fish_seen_subcommand_from install" -l name -d 'Name of the schedule: letters, digits, \'-\' and \'_\' [default: clone, or the job\'s]' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and __fish_seen_subcommand_from install" -l job -d 'Schedule this job: NAME.toml in the directory of job files' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and __fish_seen_subcommand_from install" -l when-plugged-in -d 'Start it too when the destination\'s disk appears'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and __fish_seen_subcommand_from install" -l on-ac -d 'Skip a run while the machine is on battery (Linux)'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and __fish_seen_subcommand_from install" -l replace -d 'Replace an existing schedule of that name'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and __fish_seen_subcommand_from install" -l print -d 'Print the files instead of installing them; needs no root'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and __fish_seen_subcommand_from install" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and __fish_seen_subcommand_from list" -l json -d 'Print JSON'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and __fish_seen_subcommand_from run" -s h -l help -d 'Print help'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c counterpart -n "__fish_counterpart_using_subcommand restore" -s d -l destination -d 'Restore from the safety nets of this clone' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand restore" -l key-file -d 'Open an encrypted clone (LUKS) with the key in this file, which only root may read' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand restore" -s g -l organisation-prefix -d 'Prefix of the clone\'s files' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand restore" -l at -d 'Restore from this net instead of the newest that holds the path: its number, its local time (YYYY-MM-DD, YYYY-MM-DD_HH-MM-SS) or latest' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand restore" -l to -d 'Restore to this existing directory instead of the current one' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand restore" -l rsync -d 'Use this rsync instead of searching for one' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand restore" -l list -d 'List the safety nets, or those that hold the given paths'
complete -c counterpart -n "__fish_counterpart_using_subcommand restore" -l json -d 'Print the list as JSON'
complete -c counterpart -n "__fish_counterpart_using_subcommand restore" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c counterpart -n "__fish_counterpart_using_subcommand verify" -s s -l source -d 'Compare with this directory instead of the one that the clone was made of, as this machine remembers it' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand verify" -s d -l destination -d 'Verify this clone' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand verify" -l job -d 'Verify the clones of this job, by what its file says' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand verify" -l only -d 'Verify the clone to this destination of the job alone' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand verify" -l sample -d 'Read the contents of this share of the files, every day of another: 5%, 0.5%' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand verify" -l safety-net -d 'Keep what a repair replaces for DAYS days, 30 without a number' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand verify" -s e -l exclude-from -d 'Leave out what the clone excludes by this file' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand verify" -s g -l organisation-prefix -d 'Prefix of the clone\'s files' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand verify" -l filesystems -d 'The clone is made with these filesystems below the source' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand verify" -l key-file -d 'Open an encrypted clone (LUKS) with the key in this file, which only root may read' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand verify" -l rsync -d 'Use this rsync, for what a clone keeps and for a repair, instead of searching for one' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand verify" -l full -d 'Read the contents of all files, as without an option'
complete -c counterpart -n "__fish_counterpart_using_subcommand verify" -l alone -d 'Compare the clone with the hashes that were kept of it (--hashes), without its source'
complete -c counterpart -n "__fish_counterpart_using_subcommand verify" -l repair -d 'Copy what is damaged anew, and compare it again'
complete -c counterpart -n "__fish_counterpart_using_subcommand verify" -l json -d 'Print the result as JSON'
complete -c counterpart -n "__fish_counterpart_using_subcommand verify" -l bootable -d 'The clone is made with --bootable: what it has of its own is left out'
complete -c counterpart -n "__fish_counterpart_using_subcommand verify" -l allow-folder -d 'The clone is a directory below /mnt, /media or /Volumes on which no disk is mounted'
complete -c counterpart -n "__fish_counterpart_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c counterpart -n "__fish_counterpart_using_subcommand prove" -s d -l destination -d 'Boot the disk of this clone: UUID=, LABEL= or PARTUUID= and the value, a device, where it is mounted, or a disk image' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand prove" -l firmware -d 'Start it with this firmware: bios, uefi or auto (what the disk is made for)' -r -f -a "auto\t'What the disk is made for'
bios\t'`SeaBIOS`'
uefi\t'OVMF'"
complete -c counterpart -n "__fish_counterpart_using_subcommand prove" -l bus -d 'Attach the disk to this bus: virtio, sata, nvme or auto (this machine\'s own, then others)' -r -f -a "auto\t'What this machine\'s own disk has, and then others'
virtio\t'virtio'
sata\t'AHCI'
nvme\t'`NVMe`'"
complete -c counterpart -n "__fish_counterpart_using_subcommand prove" -l accelerator -d 'Run the guest by kvm, tcg or auto (KVM where it works)' -r -f -a "auto\t'KVM where it works, or else TCG'
kvm\t'KVM'
tcg\t'TCG'"
complete -c counterpart -n "__fish_counterpart_using_subcommand prove" -l memory -d 'Give the guest this much memory, in MiB' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand prove" -l cpus -d 'Give the guest this many processors' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand prove" -l timeout -d 'Give up if it is not up after this long' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand prove" -l stall -d 'Give up if nothing has moved for this long' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand prove" -l allow-failed -d 'Let this unit fail, as one that needs the network or hardware; may be repeated' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand prove" -l log-dir -d 'Save the last screen of a clone that did not boot in this directory' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand prove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c counterpart -n "__fish_counterpart_using_subcommand prepare" -l like -d 'Lay it out like the system in this directory' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand prepare" -l erase -d 'Erase the disk that has this serial number or WWN, typed in full as the plan shows it' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand prepare" -l key-file -d 'Read the passphrase from this file, which only root may read: all its bytes' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand prepare" -l table -d 'Write this partition table: gpt, or mbr for a BIOS that cannot start from GPT' -r -f -a "gpt\t'GUID partition table'
mbr\t'The table of the PC\'s BIOS'"
complete -c counterpart -n "__fish_counterpart_using_subcommand prepare" -l encrypt -d 'Encrypt the root filesystem with LUKS; the passphrase is typed, or is the one line of standard input'
complete -c counterpart -n "__fish_counterpart_using_subcommand prepare" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c counterpart -n "__fish_counterpart_using_subcommand run" -l only -d 'Clone to this destination of the job alone' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand run" -l all -d 'Make the clones of every job, one job after another'
complete -c counterpart -n "__fish_counterpart_using_subcommand run" -s t -l test-run -l dry-run -d 'Log what the clones would change, change nothing, and exit 70'
complete -c counterpart -n "__fish_counterpart_using_subcommand run" -l full -d 'Let rsync look at every file, instead of only at what has changed since the last clone'
complete -c counterpart -n "__fish_counterpart_using_subcommand run" -l adopt -d 'Accept a destination that holds other files, or another disk than before; needs --only if there are several'
complete -c counterpart -n "__fish_counterpart_using_subcommand run" -l allow-shrink -d 'Allow a source that has shrunk by more than half, and deletions beyond --max-delete'
complete -c counterpart -n "__fish_counterpart_using_subcommand run" -l no-space-check -d 'Do not check beforehand whether the clones fit'
complete -c counterpart -n "__fish_counterpart_using_subcommand run" -l skip-if-missing -d 'Skip a destination that is missing'
complete -c counterpart -n "__fish_counterpart_using_subcommand run" -s q -l quiet -d 'Print only warnings and errors, on standard error'
complete -c counterpart -n "__fish_counterpart_using_subcommand run" -s v -l verbose -d 'Print every line of the logs, on a terminal too'
complete -c counterpart -n "__fish_counterpart_using_subcommand run" -l member -d 'One of several clones, started by this program'
complete -c counterpart -n "__fish_counterpart_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c counterpart -n "__fish_counterpart_using_subcommand job; and not __fish_seen_subcommand_from init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c counterpart -n "__fish_counterpart_using_subcommand job; and not __fish_seen_subcommand_from init" -f -a "init" -d 'Write a job\'s file, with a comment for each option, from the arguments of a clone'
complete -c counterpart -n "__fish_counterpart_using_subcommand job; and __fish_seen_subcommand_from init" -l replace -d 'Replace an existing file'
complete -c counterpart -n "__fish_counterpart_using_subcommand job; and __fish_seen_subcommand_from init" -l print -d 'Print the file instead of writing it; needs no root'
complete -c counterpart -n "__fish_counterpart_using_subcommand job; and __fish_seen_subcommand_from init" -s h -l help -d 'Print help'
complete -c counterpart -n "__fish_counterpart_using_subcommand exclusions" -s s -l source -d 'Print those of a clone of this directory' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand exclusions" -l system -d 'Print those of this system: linux or macos' -r -f -a "linux\t'Linux'
macos\t'macOS'"
complete -c counterpart -n "__fish_counterpart_using_subcommand exclusions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c counterpart -n "__fish_counterpart_using_subcommand generate" -l dir -d 'Write all man pages to man8 and man5 below this directory instead of printing the main one' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand generate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c counterpart -n "__fish_counterpart_using_subcommand help; and not __fish_seen_subcommand_from setpass doctor status forget check look schedule restore verify prove prepare run job exclusions generate help" -f -a "setpass" -d 'Store the password for server backups'
complete -c counterpart -n "__fish_counterpart_using_subcommand help; and not __fish_seen_subcommand_from setpass doctor status forget check look schedule restore verify prove prepare run job exclusions generate help" -f -a "doctor" -d 'Check what a clone would run into; read-only'
complete -c counterpart -n "__fish_counterpart_using_subcommand help; and not __fish_seen_subcommand_from setpass doctor status forget check look schedule restore verify prove prepare run job exclusions generate help" -f -a "status" -d 'Show the clones that this machine remembers: how old they are, and when they are made next'
complete -c counterpart -n "__fish_counterpart_using_subcommand help; and not __fish_seen_subcommand_from setpass doctor status forget check look schedule restore verify prove prepare run job exclusions generate help" -f -a "forget" -d 'Forget a clone that was given up, so that status and check no longer name it'
complete -c counterpart -n "__fish_counterpart_using_subcommand help; and not __fish_seen_subcommand_from setpass doctor status forget check look schedule restore verify prove prepare run job exclusions generate help" -f -a "check" -d 'Check the state of clones; a Nagios-compatible plugin'
complete -c counterpart -n "__fish_counterpart_using_subcommand help; and not __fish_seen_subcommand_from setpass doctor status forget check look schedule restore verify prove prepare run job exclusions generate help" -f -a "look" -d 'Prints what the markers at a destination say, for the plugin'
complete -c counterpart -n "__fish_counterpart_using_subcommand help; and not __fish_seen_subcommand_from setpass doctor status forget check look schedule restore verify prove prepare run job exclusions generate help" -f -a "schedule" -d 'Manage scheduled clones'
complete -c counterpart -n "__fish_counterpart_using_subcommand help; and not __fish_seen_subcommand_from setpass doctor status forget check look schedule restore verify prove prepare run job exclusions generate help" -f -a "restore" -d 'Restore what a clone with --safety-net deleted or overwrote'
complete -c counterpart -n "__fish_counterpart_using_subcommand help; and not __fish_seen_subcommand_from setpass doctor status forget check look schedule restore verify prove prepare run job exclusions generate help" -f -a "verify" -d 'Read a clone again and compare it with its source'
complete -c counterpart -n "__fish_counterpart_using_subcommand help; and not __fish_seen_subcommand_from setpass doctor status forget check look schedule restore verify prove prepare run job exclusions generate help" -f -a "prove" -d 'Boot a clone in a virtual machine and check it from inside'
complete -c counterpart -n "__fish_counterpart_using_subcommand help; and not __fish_seen_subcommand_from setpass doctor status forget check look schedule restore verify prove prepare run job exclusions generate help" -f -a "prepare" -d 'Prepare a disk for a clone that boots: partitions and filesystems like a system\'s (Linux)'
complete -c counterpart -n "__fish_counterpart_using_subcommand help; and not __fish_seen_subcommand_from setpass doctor status forget check look schedule restore verify prove prepare run job exclusions generate help" -f -a "run" -d 'Make the clones of a job, whose options stand in a file'
complete -c counterpart -n "__fish_counterpart_using_subcommand help; and not __fish_seen_subcommand_from setpass doctor status forget check look schedule restore verify prove prepare run job exclusions generate help" -f -a "job" -d 'Write a job\'s file'
complete -c counterpart -n "__fish_counterpart_using_subcommand help; and not __fish_seen_subcommand_from setpass doctor status forget check look schedule restore verify prove prepare run job exclusions generate help" -f -a "exclusions" -d 'Print the built-in exclusions, one pattern a line'
complete -c counterpart -n "__fish_counterpart_using_subcommand help; and not __fish_seen_subcommand_from setpass doctor status forget check look schedule restore verify prove prepare run job exclusions generate help" -f -a "generate" -d 'Print the man page or a shell\'s completions'
complete -c counterpart -n "__fish_counterpart_using_subcommand help; and not __fish_seen_subcommand_from setpass doctor status forget check look schedule restore verify prove prepare run job exclusions generate help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c counterpart -n "__fish_counterpart_using_subcommand help; and __fish_seen_subcommand_from schedule" -f -a "install" -d 'Check a clone\'s arguments and schedule it'
complete -c counterpart -n "__fish_counterpart_using_subcommand help; and __fish_seen_subcommand_from schedule" -f -a "show" -d 'Show a schedule: its next run, last result and files'
complete -c counterpart -n "__fish_counterpart_using_subcommand help; and __fish_seen_subcommand_from schedule" -f -a "list" -d 'List the schedules with their next run and last result'
complete -c counterpart -n "__fish_counterpart_using_subcommand help; and __fish_seen_subcommand_from schedule" -f -a "run" -d 'Start a scheduled clone now, without waiting for it to finish'
complete -c counterpart -n "__fish_counterpart_using_subcommand help; and __fish_seen_subcommand_from schedule" -f -a "remove" -d 'Remove a schedule; clones and logs stay'
complete -c counterpart -n "__fish_counterpart_using_subcommand help; and __fish_seen_subcommand_from job" -f -a "init" -d 'Write a job\'s file, with a comment for each option, from the arguments of a clone'
