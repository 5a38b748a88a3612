# A systemctl that keeps a ledger and knows the timers that were started. DIRECTORY is the sandbox's.
jobs=$DIRECTORY/host/jobs
echo "$*" >>"$DIRECTORY/ledger"
if [ -e "$DIRECTORY/fail" ] && [ "$1" = "$(cat "$DIRECTORY/fail")" ]; then
    echo "Failed to $1 unit: Access denied" >&2
    exit 1
fi
for last in "$@"; do :; done
case $1 in
show)
    if [ -e "$DIRECTORY/state-$last" ]; then
        cat "$DIRECTORY/state-$last"
    elif [ -e "$jobs/$last" ]; then
        echo "LoadState=loaded"
        echo "FragmentPath=$jobs/$last"
        echo "Result=success"
        if grep -qx "$last" "$DIRECTORY/active" 2>/dev/null; then
            echo "ActiveState=active"
            echo "NextElapseUSecRealtime=Tue 2026-11-24 03:30:00 UTC"
        else
            echo "ActiveState=inactive"
            echo "NextElapseUSecRealtime="
        fi
    else
        echo "LoadState=not-found"
        echo "ActiveState=inactive"
        echo "FragmentPath="
        echo "NextElapseUSecRealtime="
    fi
    ;;
restart)
    [ -e "$jobs/$last" ] || { echo "Failed to restart $last: Unit $last not found." >&2; exit 5; }
    echo "$last" >>"$DIRECTORY/active"
    ;;
disable)
    [ -e "$jobs/$last" ] || { echo "Failed to disable unit: Unit file $last does not exist." >&2; exit 1; }
    sed -i "/^$last\$/d" "$DIRECTORY/active" 2>/dev/null || true
    ;;
enable)
    [ -e "$jobs/$last" ] || { echo "Failed to enable unit: Unit file $last does not exist." >&2; exit 1; }
    ;;
daemon-reload | clean | start) ;;
reset-failed)
    echo "Failed to reset failed state of unit $last: Unit $last not loaded." >&2
    exit 1
    ;;
*)
    echo "Unknown command verb $1." >&2
    exit 1
    ;;
esac
