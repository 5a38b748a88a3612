# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_counterpart_global_optspecs
    string join \n s/source= d/destination= e/exclude-from= b/backup-password= B/backup-keychain backup-dir= p/pre-script= o/post-script= g/organisation-prefix= t/test-run rsync= log-dir= keep-logs= adopt allow-shrink no-space-check allow-folder strict-scripts allow-non-root retries= retry-wait= stall-timeout= vanished-ok metrics-file= ping= on-error= skip-if-missing safety-net= h/help V/version
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

complete -c counterpart -n "__fish_counterpart_needs_command" -s s -l source -d 'What to clone: its contents become the destination\'s contents, with or without a trailing slash' -r -F
complete -c counterpart -n "__fish_counterpart_needs_command" -s d -l destination -d 'Where to; must exist' -r -F
complete -c counterpart -n "__fish_counterpart_needs_command" -s e -l exclude-from -d 'Exclusion patterns, in rsync\'s syntax, added to the built-in ones' -r -F
complete -c counterpart -n "__fish_counterpart_needs_command" -s b -l backup-password -d 'Back up directory and database servers before the clone, with this password. Every user can see it in the list of processes: -B is better' -r
complete -c counterpart -n "__fish_counterpart_needs_command" -l backup-dir -d 'Where the server backup goes, instead of /var/backups/counterpart' -r -F
complete -c counterpart -n "__fish_counterpart_needs_command" -s p -l pre-script -d 'Executable run before the clone, its output logged' -r -F
complete -c counterpart -n "__fish_counterpart_needs_command" -s o -l post-script -d 'Executable run after a successful clone, its output logged' -r -F
complete -c counterpart -n "__fish_counterpart_needs_command" -s g -l organisation-prefix -d 'Reverse-domain prefix of the files left at the destination: letters, digits, \'-\', \'.\', \'_\', no leading dot' -r
complete -c counterpart -n "__fish_counterpart_needs_command" -l rsync -d 'The rsync to use, instead of searching' -r -F
complete -c counterpart -n "__fish_counterpart_needs_command" -l log-dir -d 'The log folder, instead of the default one' -r -F
complete -c counterpart -n "__fish_counterpart_needs_command" -l keep-logs -d 'How many logs stay in the log folder, this run\'s included; 0 keeps them all' -r
complete -c counterpart -n "__fish_counterpart_needs_command" -l retries -d 'Try the transfer again, so often, after a failure that may pass: rsync\'s 10, 12, 30 and 35, and vanished files' -r
complete -c counterpart -n "__fish_counterpart_needs_command" -l retry-wait -d 'The pause before another attempt: 90s, 5min, 1h' -r
complete -c counterpart -n "__fish_counterpart_needs_command" -l stall-timeout -d 'Give rsync up, with 30, when it has done nothing at all for so long; 0 or off waits for ever' -r
complete -c counterpart -n "__fish_counterpart_needs_command" -l metrics-file -d 'Write how the run went for Prometheus\' textfile collector; the name must end in .prom' -r -F
complete -c counterpart -n "__fish_counterpart_needs_command" -l ping -d 'Tell this address, as healthchecks.io has it: URL/start at the beginning, then URL, or URL/fail' -r
complete -c counterpart -n "__fish_counterpart_needs_command" -l on-error -d 'Executable run after any failure, its output logged' -r -F
complete -c counterpart -n "__fish_counterpart_needs_command" -l safety-net -d 'Keep what the clone deletes or overwrites at the destination for DAYS days, 30 if no number is given' -r
complete -c counterpart -n "__fish_counterpart_needs_command" -s B -l backup-keychain -d 'The same, with the password that `counterpart setpass` has stored'
complete -c counterpart -n "__fish_counterpart_needs_command" -s t -l test-run -d 'Verbose dry run: logs what would change, changes nothing at all, exits with 70'
complete -c counterpart -n "__fish_counterpart_needs_command" -l adopt -d 'Let the first clone delete what the destination already holds, and accept another disk than before'
complete -c counterpart -n "__fish_counterpart_needs_command" -l allow-shrink -d 'Let the source have lost more than half of its entries since the last complete clone'
complete -c counterpart -n "__fish_counterpart_needs_command" -l no-space-check -d 'Do not check beforehand whether the clone fits: for sources and destinations with shared, compressed or preallocated blocks'
complete -c counterpart -n "__fish_counterpart_needs_command" -l allow-folder -d 'Clone into a folder of /mnt, /media or /Volumes though no disk is mounted there'
complete -c counterpart -n "__fish_counterpart_needs_command" -l strict-scripts -d 'A failing pre-clone script stops the run (81), a failing post-clone script fails it (82)'
complete -c counterpart -n "__fish_counterpart_needs_command" -l allow-non-root -d 'Clone without root; ownership and special files are then not kept, and the log says so'
complete -c counterpart -n "__fish_counterpart_needs_command" -l vanished-ok -d 'Exit with 0, not 24, when files vanished from the source while they were copied'
complete -c counterpart -n "__fish_counterpart_needs_command" -l skip-if-missing -d 'End with 0, having done nothing, when the destination does not exist or its disk is not mounted'
complete -c counterpart -n "__fish_counterpart_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c counterpart -n "__fish_counterpart_needs_command" -s V -l version -d 'Print version'
complete -c counterpart -n "__fish_counterpart_needs_command" -f -a "setpass" -d 'Stores the password of the server backup in the system\'s keychain or credential store'
complete -c counterpart -n "__fish_counterpart_needs_command" -f -a "doctor" -d 'Tells, changing nothing, what a clone with these options would meet'
complete -c counterpart -n "__fish_counterpart_needs_command" -f -a "check" -d 'Judges clones for a monitoring system: a plugin by the monitoring-plugins guidelines'
complete -c counterpart -n "__fish_counterpart_needs_command" -f -a "look" -d 'Prints what the marks at a destination say, for the plugin'
complete -c counterpart -n "__fish_counterpart_needs_command" -f -a "schedule" -d 'Installs, shows, starts or removes clones that the system makes by itself'
complete -c counterpart -n "__fish_counterpart_needs_command" -f -a "restore" -d 'Brings back what a clone with --safety-net has deleted or overwritten'
complete -c counterpart -n "__fish_counterpart_needs_command" -f -a "generate" -d 'Prints the man page or a shell\'s completions'
complete -c counterpart -n "__fish_counterpart_using_subcommand setpass" -s g -l organisation-prefix -d 'The prefix that the clone is run with' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand setpass" -l stdin -d 'Take the password from standard input instead of asking for it'
complete -c counterpart -n "__fish_counterpart_using_subcommand setpass" -l delete -d 'Delete the stored password'
complete -c counterpart -n "__fish_counterpart_using_subcommand setpass" -l check -d 'Only tell whether a password is stored and can be read'
complete -c counterpart -n "__fish_counterpart_using_subcommand setpass" -s h -l help -d 'Print help'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -s s -l source -d 'What would be cloned; without it, nothing is told of a source' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -s d -l destination -d 'Where to; without it, nothing is told of a destination' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -s e -l exclude-from -d 'Exclusion patterns, in rsync\'s syntax, added to the built-in ones' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -s b -l backup-password -d 'Back up directory and database servers before the clone, with this password. Every user can see it in the list of processes: -B is better' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l backup-dir -d 'Where the server backup goes, instead of /var/backups/counterpart' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -s p -l pre-script -d 'Executable run before the clone, its output logged' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -s o -l post-script -d 'Executable run after a successful clone, its output logged' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -s g -l organisation-prefix -d 'Reverse-domain prefix of the files left at the destination: letters, digits, \'-\', \'.\', \'_\', no leading dot' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l rsync -d 'The rsync to use, instead of searching' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l log-dir -d 'The log folder, instead of the default one' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l keep-logs -d 'How many logs stay in the log folder, this run\'s included; 0 keeps them all' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l retries -d 'Try the transfer again, so often, after a failure that may pass: rsync\'s 10, 12, 30 and 35, and vanished files' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l retry-wait -d 'The pause before another attempt: 90s, 5min, 1h' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l stall-timeout -d 'Give rsync up, with 30, when it has done nothing at all for so long; 0 or off waits for ever' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l metrics-file -d 'Write how the run went for Prometheus\' textfile collector; the name must end in .prom' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l ping -d 'Tell this address, as healthchecks.io has it: URL/start at the beginning, then URL, or URL/fail' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l on-error -d 'Executable run after any failure, its output logged' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l safety-net -d 'Keep what the clone deletes or overwrites at the destination for DAYS days, 30 if no number is given' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l json -d 'Print JSON instead of lines'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -s B -l backup-keychain -d 'The same, with the password that `counterpart setpass` has stored'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -s t -l test-run -d 'Verbose dry run: logs what would change, changes nothing at all, exits with 70'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l adopt -d 'Let the first clone delete what the destination already holds, and accept another disk than before'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l allow-shrink -d 'Let the source have lost more than half of its entries since the last complete clone'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l no-space-check -d 'Do not check beforehand whether the clone fits: for sources and destinations with shared, compressed or preallocated blocks'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l allow-folder -d 'Clone into a folder of /mnt, /media or /Volumes though no disk is mounted there'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l strict-scripts -d 'A failing pre-clone script stops the run (81), a failing post-clone script fails it (82)'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l allow-non-root -d 'Clone without root; ownership and special files are then not kept, and the log says so'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l vanished-ok -d 'Exit with 0, not 24, when files vanished from the source while they were copied'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -l skip-if-missing -d 'End with 0, having done nothing, when the destination does not exist or its disk is not mounted'
complete -c counterpart -n "__fish_counterpart_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c counterpart -n "__fish_counterpart_using_subcommand check" -s d -l destination -d 'The destination of the clone; without it, every destination that this machine remembers' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand check" -s w -l warning -d 'Warn when the last success is older: minutes, or 26h, 2d, 90min' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand check" -s c -l critical -d 'Be critical when the last success is older: minutes, or 50h, 3d' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand check" -s g -l organisation-prefix -d 'The prefix that the clone is run with [default: me.jedda; without -d, all of them]' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand check" -s t -l timeout -d 'Give up after so long with UNKNOWN: seconds, or 10s, 1min' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand check" -s h -l help -d 'Print help'
complete -c counterpart -n "__fish_counterpart_using_subcommand check" -s V -l version -d 'Print version'
complete -c counterpart -n "__fish_counterpart_using_subcommand look" -s d -l destination -d 'The destination, absolute' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand look" -s g -l organisation-prefix -d 'The prefix of its marks' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand look" -s h -l help -d 'Print help'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and not __fish_seen_subcommand_from install show list run remove" -s h -l help -d 'Print help'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and not __fish_seen_subcommand_from install show list run remove" -f -a "install" -d 'Checks a clone\'s arguments and has the system make that clone from now on'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and not __fish_seen_subcommand_from install show list run remove" -f -a "show" -d 'Shows the files, the next run and the last result of a schedule'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and not __fish_seen_subcommand_from install show list run remove" -f -a "list" -d 'Lists all schedules with their next run and last result'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and not __fish_seen_subcommand_from install show list run remove" -f -a "run" -d 'Starts a schedule\'s clone now, and does not wait for its end'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and not __fish_seen_subcommand_from install show list run remove" -f -a "remove" -d 'Removes a schedule'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and __fish_seen_subcommand_from install" -l daily -d 'Every day at this time; at 03:30 when nothing else is asked for' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and __fish_seen_subcommand_from install" -l weekly -d 'Every week at this day and time: Sun 03:30' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and __fish_seen_subcommand_from install" -l every -d 'So many hours or minutes apart, which must divide a day or an hour evenly: 2h, 15m' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and __fish_seen_subcommand_from install" -l name -d 'The schedule\'s name: letters, digits, \'-\' and \'_\'' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and __fish_seen_subcommand_from install" -l replace -d 'Replace a schedule of that name'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and __fish_seen_subcommand_from install" -l print -d 'Only print the files that would be written'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and __fish_seen_subcommand_from install" -s h -l help -d 'Print help'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and __fish_seen_subcommand_from run" -s h -l help -d 'Print help'
complete -c counterpart -n "__fish_counterpart_using_subcommand schedule; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c counterpart -n "__fish_counterpart_using_subcommand restore" -s d -l destination -d 'The destination of the clone whose safety nets are meant' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand restore" -s g -l organisation-prefix -d 'The prefix that the clone is run with' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand restore" -l at -d 'Take it from this net: its number, its local time (YYYY-MM-DD, YYYY-MM-DD_HH-MM-SS) or latest, instead of the newest that holds it' -r
complete -c counterpart -n "__fish_counterpart_using_subcommand restore" -l to -d 'Where to, instead of the current folder; must exist' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand restore" -l rsync -d 'The rsync to use, instead of searching' -r -F
complete -c counterpart -n "__fish_counterpart_using_subcommand restore" -l list -d 'Only list the safety nets, or those that hold the given paths'
complete -c counterpart -n "__fish_counterpart_using_subcommand restore" -s h -l help -d 'Print help'
complete -c counterpart -n "__fish_counterpart_using_subcommand generate" -s h -l help -d 'Print help (see more with \'--help\')'
