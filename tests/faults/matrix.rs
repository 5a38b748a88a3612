//! The rows: for each fault what was done and when, then the acceptable codes, the acceptable markers at the
//! destination (alternatives separated by a bar), and what must not change.

use crate::support::evidence::{Fault, KILLED, Unchanged, When};

macro_rules! faults {
    ($($module:ident::$name:ident: $what:literal, $when:ident
        => $($code:expr),+; $($markers:literal)|+; $unchanged:expr;)+) => {
        /// Every fault, in the order in which they run.
        pub const FAULTS: &[Fault] = &[$(Fault {
            name: concat!(stringify!($module), "::", stringify!($name)),
            what: $what,
            when: When::$when,
            codes: &[$($code),+],
            markers: &[$($markers),+],
            unchanged: $unchanged,
            run: crate::$module::$name,
        }),+];
    };
}

const SOURCE: Unchanged = Unchanged::Source;
const MOVING: Unchanged = Unchanged::SourceBut(&["directory", "a slow file"]);
const FILES: Unchanged = Unchanged::Files;
const BOTH: Unchanged = Unchanged::Both;

faults! {
    // Those that take longest come first.
    kills::timed_kills_are_mended: "Counterpart killed at sixteen moments", AnyTime
        => 0, KILLED; "" | "probe.tmp" | "id" | "id.tmp" | "error.tmp id" | "error.tmp id probe.tmp" | "id stats" | "id stats.tmp"
        | "completed.tmp id stats" | "completed id stats"; SOURCE;
    kills::a_kill_before_each_change_of_a_first_clone_is_mended: "killed before each change of a first clone", AnyTime
        => 0, KILLED; "" | "probe.tmp" | "id" | "id.tmp" | "error.tmp id" | "error.tmp id probe.tmp" | "id stats" | "id stats.tmp"
        | "completed.tmp id stats" | "completed id stats"; SOURCE;
    kills::a_kill_before_each_change_of_a_later_clone_is_mended: "killed before each change of a later clone", AnyTime
        => 0, KILLED; "id stats" | "error.tmp id stats" | "error.tmp id probe.tmp stats" | "id stats stats.tmp"
        | "completed.tmp id stats" | "completed id stats" | "completed id probe.tmp stats"; SOURCE;

    calls::each_call_that_fails_with_eio_is_told: "each change that we make fails once, EIO", AnyTime
        => 0, 11, 66, 72, 76; "" | "error id stats" | "error error.tmp id stats" | "completed id stats"
        | "completed id probe.tmp stats"; SOURCE;
    calls::each_call_that_fails_with_enospc_is_told: "each change that we make fails once, ENOSPC", AnyTime
        => 0, 66, 74, 76; "" | "error id stats" | "error error.tmp id stats" | "completed id stats"
        | "completed id probe.tmp stats"; SOURCE;

    // The destination.
    destination::a_full_ext4_is_74: "destination full, ext4", Copying
        => 74; "error id" | "error id stats"; SOURCE;
    destination::a_full_xfs_is_74: "destination full, xfs", Copying
        => 74; "error id" | "error id stats"; SOURCE;
    destination::a_full_btrfs_is_74: "destination full, btrfs", Copying
        => 74; "error id" | "error id stats" | "id"; SOURCE;
    destination::a_full_tmpfs_is_74: "destination full, tmpfs", Copying
        => 74; "error id" | "error id stats"; SOURCE;
    destination::a_destination_without_inodes_is_74: "destination out of inodes", Copying
        => 74; "error id"; SOURCE;
    destination::without_inodes_an_edit_within_a_second_is_copied: "destination out of inodes, and a small edit", Before
        => 0; "completed id stats"; SOURCE;
    destination::an_error_in_the_destinations_filesystem_is_72: "destination turns read-only after an error", Copying
        => 72; "error.tmp id"; SOURCE;
    destination::a_destination_that_shuts_down_is_72: "destination's filesystem shuts down", Copying
        => 72; "error.tmp id" | "unreadable"; SOURCE;
    destination::a_destination_that_is_unmounted_in_between_is_72: "destination unmounted", Copying
        => 72; "error id stats"; SOURCE;
    destination::a_read_only_destination_is_66_and_not_touched: "destination mounted read-only", Before
        => 66; "completed id stats"; BOTH;
    destination::data_that_does_not_reach_the_disk_is_no_success: "destination's disk image has no room behind it", Copying
        => 11, 72, 74; "error id" | "error id stats"; Unchanged::SourceAlone;
    destination::a_destination_without_access_control_lists_is_23_and_the_path_named: "destination without attributes", Before
        => 23; "error id stats"; SOURCE;
    destination::a_destination_without_owners_is_90_and_nothing_is_written: "destination without owners", Before
        => 90; ""; BOTH;
    destination::a_full_log_disk_does_not_stop_the_clone: "the log's disk fills up", Copying
        => 0; "completed id stats"; SOURCE;
    destination::a_log_that_cannot_be_begun_does_not_stop_the_clone: "the log's disk is full", Before
        => 0; "completed id stats"; SOURCE;
    destination::an_immutable_file_at_the_destination_is_23_and_named: "an immutable file at the destination", Before
        => 23; "error id stats"; FILES;

    // The source.
    source::a_source_whose_device_goes_away_is_71: "source's device cut off", Copying
        => 71; "error id stats"; SOURCE;
    source::a_source_that_shuts_down_is_71: "source's filesystem shuts down", Copying
        => 71; "error id stats"; SOURCE;
    source::one_file_that_cannot_be_read_is_23_and_named: "one file of the source gives read errors", Before
        => 23; "error id stats"; SOURCE;
    source::only_one_file_and_that_cannot_be_read_is_71: "every file of the source gives read errors", Before
        => 71; "error id stats"; SOURCE;
    source::a_disk_mounted_in_a_dead_source_does_not_prove_it_alive: "the same, and a disk mounted in it", Before
        => 71; "error id stats"; SOURCE;
    source::a_damaged_inode_is_23_and_named: "a damaged inode on the source", Before
        => 23; "error id stats"; SOURCE;
    source::a_source_that_is_emptied_in_between_is_71: "source removed, an empty directory in its place", AfterCopying
        => 71; "error id stats"; Unchanged::SourceBut(&[""]);
    source::a_file_that_vanishes_at_its_attributes_is_no_failure: "a file vanishes as its attributes are read", Copying
        => 0; "completed id stats"; Unchanged::SourceBut(&["", "001"]);
    source::a_log_that_is_truncated_is_no_failure: "a log is truncated while it is read", Copying
        => 0; "completed id stats"; Unchanged::SourceBut(&["001"]);
    source::a_source_that_is_gone_from_the_start_does_not_wipe_the_destination: "source unmounted", Before
        => 65; "error id stats"; FILES;

    // Disks.
    devices::a_detached_source_is_copied_to_the_end: "source's loop device detached", Copying
        => 0; "completed id stats"; SOURCE;
    devices::a_detached_destination_is_written_to_the_end: "destination's loop device detached", Copying
        => 0; "completed id stats"; SOURCE;
    devices::an_unmounted_source_is_copied_to_the_end: "source unmounted", Copying
        => 0; "completed id stats"; SOURCE;
    devices::a_source_that_turns_read_only_is_copied: "source remounted read-only", Copying
        => 0; "completed id stats"; SOURCE;
    devices::a_destination_in_use_is_not_remounted: "destination remounted read-only: refused", Copying
        => 0; "completed id stats"; SOURCE;
    devices::a_destination_whose_device_is_cut_off_is_no_success: "destination's device cut off", Copying
        => 11, 72; "id" | "error.tmp id" | "error id" | "unreadable"; Unchanged::SourceAlone;
    devices::a_directory_that_cannot_be_listed_loses_nothing: "one directory of the source cannot be listed", Before
        => 23; "error id stats"; SOURCE;
    devices::an_entry_without_properties_loses_nothing: "one entry of the source has no properties", Before
        => 23; "error id stats"; SOURCE;
    devices::slow_reads_are_waited_for: "the source reads slowly", Before
        => 0; "completed id stats"; SOURCE;
    devices::a_hang_that_ends_is_waited_for: "the source hangs for a while", Copying
        => 0; "completed id stats"; SOURCE;

    // What does nothing any more.
    stalls::an_rsync_that_does_nothing_is_given_up_with_30: "rsync does nothing any more", Copying
        => 30; "error id"; FILES;
    stalls::a_list_that_never_ends_is_given_up_with_30: "rsync's list of a test run never ends", BeforeCopying
        => 30; ""; FILES;
    stalls::a_slow_transfer_is_not_given_up: "rsync is slow, and not dead", Copying
        => 0; "completed id stats"; SOURCE;
    stalls::another_attempt_follows_a_stall: "rsync does nothing, and is tried again", Copying
        => 0; "completed id stats"; SOURCE;
    stalls::a_source_that_stops_answering_is_30: "the source does not answer any more", Copying
        => 30; "error id"; SOURCE;
    stalls::a_destination_that_stops_answering_is_30_and_not_waited_for: "the destination does not answer any more", Copying
        => 30; "error.tmp id" | "error.tmp id probe.tmp"; SOURCE;
    stalls::an_exchange_that_makes_rsync_hang_is_given_up_with_30: "a directory is exchanged, and rsync hangs", Copying
        => 30; "error id stats"; MOVING;

    // Room.
    space::a_disk_without_room_for_attributes_is_74: "no room for attributes", Copying
        => 74; "error id" | "error id stats"; SOURCE;
    space::attributes_that_a_filesystem_cannot_keep_are_89: "attributes that the filesystem cannot keep", Before
        => 89; "error"; SOURCE;
    space::a_full_disk_has_room_for_the_markers: "no room but for our marks", AfterCopying
        => 0; "completed id stats"; SOURCE;
    space::a_disk_without_inodes_for_the_markers_is_74: "no inodes for our marks", AfterCopying
        => 74; "error id"; SOURCE;
    space::a_lock_without_room_is_taken_on_the_destination: "no room for the lock", Before
        => 0; "completed id stats"; SOURCE;

    // A source that changes.
    moving::a_file_that_grows_is_copied: "files grow", Copying
        => 0; "completed id stats"; MOVING;
    moving::a_file_that_shrinks_is_never_padded: "files shrink", Copying
        => 0; "completed id stats"; MOVING;
    moving::a_file_that_is_overwritten_is_mended_by_the_next_run: "a file is overwritten", Copying
        => 0; "completed id stats"; MOVING;
    moving::a_file_that_vanishes_is_24: "a file vanishes", Copying
        => 24; "completed id stats"; MOVING;
    moving::a_directory_that_vanishes_is_24: "a directory vanishes", Copying
        => 24; "completed id stats"; MOVING;
    moving::a_file_that_becomes_a_link_is_not_followed: "a file becomes a link", Copying
        => 0; "completed id stats"; MOVING;
    moving::a_directory_that_becomes_a_link_is_not_followed: "a directory becomes a link", Copying
        => 0; "completed id stats"; MOVING;
    moving::a_file_that_becomes_a_directory_is_cloned_as_one: "a file becomes a directory", Copying
        => 0; "completed id stats"; MOVING;
    moving::a_file_that_becomes_a_fifo_does_not_hang_the_run: "a file becomes a FIFO", Copying
        => 0; "completed id stats"; MOVING;
    moving::a_fifo_that_is_gone_again_does_not_hang_the_run: "a file becomes a FIFO and goes", Copying
        => 24; "completed id stats"; MOVING;
    moving::many_files_that_become_fifos_cost_seconds: "two hundred files become FIFOs", Copying
        => 0; "completed id stats"; MOVING;
    moving::a_file_of_several_names_that_vanishes_is_cloned_by_the_others: "a hard-linked file vanishes", Copying
        => 0; "completed id stats"; MOVING;
    moving::a_file_of_several_names_that_vanishes_twice_is_23: "two names of a file vanish, one by one", Copying
        => 23; "error id stats"; MOVING;
    moving::a_file_of_several_names_that_becomes_a_link_is_cloned_as_one: "a hard-linked file becomes a link", Copying
        => 0; "completed id stats"; MOVING;

    // A source that stands still.
    frozen::a_source_that_cannot_be_frozen_is_77: "no snapshot can be taken, and one is required", Before
        => 77; "error id stats"; FILES;
    frozen::a_kill_leaves_a_snapshot_that_the_next_run_deletes: "killed while there is a snapshot", Copying
        => KILLED; "error.tmp id"; SOURCE;
    frozen::what_changes_behind_a_snapshot_makes_no_difference: "the source changes behind its snapshot", Copying
        => 0; "completed id stats"; MOVING;

    // A clone that is read again.
    read_again::a_copy_that_rots_is_found_at_night: "a byte of the clone rots, --verify-daily", Before
        => 75; "completed id stats"; Unchanged::SourceBut(&["rotten"]);
    read_again::a_copy_that_rots_is_repaired: "the same, verify --repair", Before
        => 83; "completed id stats"; Unchanged::SourceBut(&["rotten"]);

    read_again::a_copy_that_rots_is_found_when_the_machine_has_died: "the same, verify --alone", Before
        => 75; "completed hashes id stats"; Unchanged::Both;
    read_again::a_copy_that_cannot_be_read_back_is_75: "a copy cannot be read back, --hashes", Before
        => 75; "completed hashes id stats"; SOURCE;

    // Clocks.
    clock::a_clock_a_year_back_makes_no_difference: "clock a year back", Before
        => 0; "completed id stats"; SOURCE;
    clock::a_clock_that_begins_in_1970_makes_no_difference: "clock begins in 1970", Before
        => 0; "completed id stats"; SOURCE;
    clock::a_clock_that_is_set_back_in_between_makes_no_difference: "clock set back by two hours", Copying
        => 0; "completed id stats"; SOURCE;
    clock::marks_and_files_of_the_future_make_no_difference: "marks and files from 2100", Before
        => 0; "completed id stats"; SOURCE;

    // An rsync that lies.
    liars::success_without_statistics_is_13: "rsync: 0 without statistics", Copying
        => 13; "error id stats"; SOURCE;
    liars::statistics_do_not_make_a_success_of_1: "rsync: statistics and 1", Copying
        => 1; "error id stats"; SOURCE;
    liars::closed_outputs_are_no_success: "rsync closes its outputs", Copying
        => 13; "error id stats"; SOURCE;
    liars::a_code_that_rsync_does_not_have_is_86: "rsync: a code that it does not have", Copying
        => 86; "error id stats"; FILES;
    liars::names_that_look_like_errors_are_none: "rsync: a name that looks like an error", Copying
        => 23; "error id stats"; FILES;
    liars::endless_output_is_read_in_bounded_memory: "rsync: endless output, then TERM", Copying
        => 20; "error id stats"; FILES;

    // What is awkward to copy.
    fidelity::names_of_every_byte_are_cloned_and_shown_harmlessly: "names of every byte, in directories that refuse", Before
        => 23; "error id stats"; SOURCE;
    fidelity::ext4_holds_an_exact_clone: "a hostile tree, names of every byte among it, to ext4", Before
        => 0; "completed id stats"; SOURCE;
    fidelity::xfs_holds_an_exact_clone: "the same to xfs", Before
        => 0; "completed id stats"; SOURCE;
    fidelity::btrfs_holds_an_exact_clone: "the same to btrfs", Before
        => 0; "completed id stats"; SOURCE;
    fidelity::tmpfs_holds_an_exact_clone: "the same to tmpfs", Before
        => 0; "completed id stats"; SOURCE;
    fidelity::a_disk_of_whole_seconds_holds_all_but_the_nanoseconds: "the same to a disk of whole seconds", Before
        => 0; "completed id stats"; SOURCE;
    fidelity::a_path_that_is_too_long_for_the_system_is_named: "a path longer than the system takes", Before
        => 23; "error id stats"; SOURCE;

    // Kills.
    kills::a_kill_while_another_program_runs_is_mended: "killed while another program runs", BeforeCopying
        => KILLED; "" | "id" | "error.tmp id" | "completed id stats"; SOURCE;
    kills::a_kill_after_the_transfer_and_before_the_verdict_is_mended: "killed before the verdict", AfterCopying
        => KILLED; "error.tmp id"; SOURCE;
    kills::a_kill_after_a_complete_run_takes_no_false_completion_along: "the run after a complete one killed", BeforeCopying
        => KILLED; "error.tmp id stats"; SOURCE;

    // Rivals.
    lock::the_second_of_two_is_80_and_writes_nothing: "a second Counterpart, by two paths", BeforeCopying
        => 80; ""; BOTH;
    lock::of_ten_at_once_exactly_one_runs: "ten Counterparts at once", BeforeCopying
        => 80; ""; BOTH;
    lock::a_test_run_needs_no_lock: "a test run beside a clone", BeforeCopying
        => 70; ""; BOTH;
    lock::two_destinations_do_not_wait_for_each_other: "a clone to another destination beside", BeforeCopying
        => 0; "completed id stats"; SOURCE;
    lock::a_lock_directory_of_somebody_else_is_refused: "somebody else's lock directory", Before
        => 1; ""; BOTH;
    lock::a_lock_file_that_is_a_link_is_refused: "a link as lock file", Before
        => 1; "completed id stats"; BOTH;
    lock::an_rsync_that_outlives_the_run_keeps_the_lock: "an rsync that a killed run left behind", Before
        => 80; "error.tmp id"; BOTH;

    // Traps.
    planted::what_is_planted_at_a_clone_gives_way: "links, directories, FIFOs planted as our files", Before
        => 0; "completed id stats"; SOURCE;
    planted::what_is_planted_gives_way_to_a_failure_as_well: "the same, and a failure", Copying
        => 23; "error id stats"; SOURCE;
    planted::planted_markers_do_not_make_a_destination_ours: "planted marks beside somebody's files", Before
        => 76; "completed id stats"; BOTH;
    planted::a_first_clone_to_planted_links_is_right: "the same at an empty destination", Before
        => 0; "completed id stats"; SOURCE;

    planted::links_in_the_place_of_the_clones_directories_are_not_followed: "links planted as the clone's directories", Before
        => 0; "completed id stats"; SOURCE;
    planted::a_destination_that_is_a_link_is_refused: "the destination is a link", Before
        => 66; ""; BOTH;

    // Signals.
    signals::a_signal_to_rsync_is_no_success: "TERM, INT, HUP, KILL to rsync", Copying
        => 20, 137; "error id"; SOURCE;
    signals::a_signal_to_rsyncs_child_is_no_success: "the same to its child", Copying
        => 12, 20; "error id" | "error id stats"; SOURCE;
    signals::a_signal_to_rsyncs_grandchild_is_no_success: "the same to its grandchild", Copying
        => 10, 12, 20; "error id" | "error id stats"; SOURCE;
    signals::a_signal_during_the_transfer_ends_it_with_20: "INT, TERM, HUP to Counterpart", Copying
        => 20; "error id"; SOURCE;
    signals::a_signal_takes_the_completion_of_an_earlier_run_away_with_it: "TERM in a later clone", Copying
        => 20; "error id stats"; SOURCE;
    signals::a_second_sigint_ends_at_once_whatever_rsync_does: "a second INT, rsync deaf", Copying
        => 20; "error.tmp id"; SOURCE;
    signals::a_second_sigint_ends_at_once_while_a_disk_hangs: "a second INT, the source hanging", Copying
        => 20; "error.tmp id"; SOURCE;
    signals::a_second_sigterm_waits_for_rsync: "a second TERM, rsync deaf", Copying
        => 20; "error id"; SOURCE;
    signals::a_signal_during_the_pre_clone_script_ends_it_and_nothing_is_cloned: "INT in the pre-clone script", BeforeCopying
        => 20; "error"; FILES;
    signals::a_signal_during_a_test_run_ends_it_and_nothing_is_lost: "TERM in a test run", BeforeCopying
        => 20; ""; FILES;
    signals::a_signal_during_the_post_clone_script_ends_it: "HUP in the post-clone script", AfterCopying
        => 20; "error id stats"; SOURCE;
    signals::a_signal_that_the_caller_had_ignored_does_not_end_the_run: "HUP under nohup", BeforeCopying
        => 0; "completed id stats"; SOURCE;
    signals::an_rsync_that_is_killed_is_128_and_the_signal: "KILL, SEGV to rsync", Copying
        => 137, 139; "error id"; SOURCE;
    signals::an_rsync_whose_child_is_killed_hands_its_code_on: "KILL to rsync's last child", Copying
        => 10, 12, 14, 15, 16; "error id" | "error id stats"; SOURCE;
    signals::of_several_signals_the_first_one_is_told: "several signals", Copying
        => 20; "error id"; SOURCE;
    signals::any_other_signal_that_ends_is_128_and_the_signal: "ALRM, PROF, QUIT, USR1, USR2, VTALRM, XCPU, 40", Copying
        => 131, 138, 140, 142, 154, 155, 152, 168; "error id"; SOURCE;
    signals::an_abort_has_a_last_line: "ABRT, FPE to Counterpart", Copying
        => 134, 136; "error.tmp id"; SOURCE;
    signals::a_limit_of_file_sizes_is_an_error_like_a_full_disk: "no file may grow beyond a few bytes", Before
        => 0, 66, 72; "completed id stats" | "" | "id"; SOURCE;
    signals::a_broken_pipe_does_not_end_the_run: "PIPE, XFSZ to Counterpart", Copying
        => 0; "completed id stats"; SOURCE;
    signals::a_run_that_gets_no_memory_has_a_documented_end: "no memory, at any moment", AnyTime
        => 0, 1, 66, 72, 86, 134; "" | "completed id stats" | "error id stats" | "error.tmp id stats" | "error id" | "error.tmp id"; SOURCE;
}
