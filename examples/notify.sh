#!/bin/sh
#
# Reports a run: by mail, ntfy, Slack or Gotify. It is both an on-error and a post-clone script:
#
#     counterpart -s / -d /mnt/clone --on-error /usr/local/libexec/counterpart/notify.sh
#     counterpart -s / -d /mnt/clone --on-error … --post-script …      (successes too)
#
# Started by hand it sends a test. A clone that was never started reports nothing: watch the age of the last success
# too, with `counterpart check`.
#
# How to report stands in this file, which only root may read; examples/notify.conf explains it. Without it, root gets a
# mail.
configuration=/etc/counterpart/notify.conf
[ "$(uname -s)" != Darwin ] || configuration='/Library/Application Support/Counterpart/notify.conf'

set -eu
PATH=${PATH:+$PATH:}/usr/bin:/bin:/usr/sbin:/sbin:/usr/lib
export PATH
LC_ALL=C
export LC_ALL

complain() { printf 'notify: %s\n' "$*" >&2; }

# --- what to say

host=$(uname -n)
source=${COUNTERPART_SOURCE:-}
destination=${COUNTERPART_DESTINATION:-}
outcome=${COUNTERPART_OUTCOME:-test}
code=${COUNTERPART_EXIT_CODE:-}
reason=${COUNTERPART_REASON:-}
case $outcome in
    success) title="Clone of $host to $destination completed" ;;
    warning) title="Clone of $host to $destination completed with warnings" ;;
    test) title="Test from Counterpart on $host" ;;
    *) title="Clone of $host to $destination failed with code $code" outcome=failed ;;
esac
# A copy that is complete and does not start a machine (78, 79) has a reason too.
[ "$outcome" != warning ] || [ -z "$reason" ] || title="Clone of $host to $destination completed with code $code"
if [ "$outcome" = failed ] || [ -n "$reason" ]; then is_bad=yes; else is_bad=no; fi

message() {
    case $outcome in
        test) printf 'This is how a report of Counterpart on %s arrives.\n' "$host" ;;
        failed) printf 'The clone of %s to %s failed.\n' "$source" "$destination" ;;
        *) printf 'The clone of %s to %s is complete.\n' "$source" "$destination" ;;
    esac
    if [ "$is_bad" = yes ]; then
        printf '\n%s\n\nExit code:  %s\n' "${reason:-The reason is in the log.}" "$code"
        printf 'What to do: %s\n' "${COUNTERPART_REMEDY:-read the log}"
    elif [ "$outcome" = warning ]; then
        printf 'There are warnings (exit code %s): read the log.\n' "$code"
    fi
    [ -z "${COUNTERPART_LOG:-}" ] || printf 'Log:        %s\n' "$COUNTERPART_LOG"
    if [ "$is_bad" = no ] && [ -r "${COUNTERPART_STATS:-}" ]; then
        printf '\n'
        head -n 40 "$COUNTERPART_STATS"
    fi
}

# Text of one or more lines that every service takes: a path may have any bytes.
clean() {
    tr '\t' ' ' | tr -d '\000-\011\013-\037\177' |
        if command -v iconv >/dev/null; then iconv -c -f UTF-8 -t UTF-8 || true; else tr '\200-\377' '?'; fi
}

title=$(printf '%s' "$title" | tr '\n\t\200-\377' '  ?' | clean)
text=$(message | clean)

# --- how to send it

# What stands between quotes, in JSON and in curl's configuration alike.
quoted() { printf '%s\n' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g' | awk 'NR > 1 { printf "\\n" } { printf "%s", $0 }'; }

set_to() { printf '%s = "%s"\n' "$1" "$(quoted "$2")"; }

# Addresses and tokens are secrets: curl reads them on its standard input, and no list of processes shows them.
post() { # URL BODY HEADER…
    {
        set_to url "$1"
        set_to data-raw "$2"
        shift 2
        for header in "$@"; do set_to header "$header"; done
    } | curl --disable --silent --show-error --fail --max-time 30 --proto =https,http --output /dev/null --config -
}

mail() { # ADDRESS
    {
        printf 'To: %s\nSubject: %s\nAuto-Submitted: auto-generated\n' "$1" "$title"
        printf 'MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n\n'
        # The longest line that a mail may have is 998 bytes.
        printf '%s\n' "$text" | fold -s -w 900
    } | sendmail -t -i
}

ntfy() { # URL [TOKEN]
    if [ "$is_bad" = yes ]; then set -- "$1" "${2:-}" high warning; else set -- "$1" "${2:-}" default floppy_disk; fi
    # It takes 4096 bytes.
    post "$1" "$(printf '%s' "$text" | head -c 4000 | clean)" 'Content-Type: text/plain; charset=utf-8' \
        "Title: $title" "Priority: $3" "Tags: $4" ${2:+"Authorization: Bearer $2"}
}

slack() { # URL
    both=$(printf '%s\n\n%s\n' "$title" "$text" | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g')
    # Without the signs for bold letters and the like, which a path may have.
    post "$1" "{\"text\":\"$(quoted "$both")\",\"mrkdwn\":false}" 'Content-Type: application/json'
}

gotify() { # URL TOKEN
    if [ "$is_bad" = yes ]; then priority=8; else priority=2; fi
    post "${1%/}/message" "{\"title\":\"$(quoted "$title")\",\"message\":\"$(quoted "$text")\",\"priority\":$priority}" \
        'Content-Type: application/json' "X-Gotify-Key: $2"
}

failed=no
by() { # SERVICE ARGUMENT…
    service=$1
    # One that fails keeps no other from being told.
    "$@" || { complain "the report by $service was not sent"; failed=yes; }
}

# --- to whom

if [ ! -e "$configuration" ] && [ ! -L "$configuration" ]; then
    by mail root
else
    safe=$(find "$configuration" -prune -type f \( -user 0 -o -user "$(id -u)" \) ! -perm -040 ! -perm -020 ! -perm -010 \
        ! -perm -004 ! -perm -002 ! -perm -001 2>/dev/null) || safe=
    if [ -z "$safe" ]; then
        complain "$configuration is not used: it must be a file of root's that nobody else may read (chmod 600)"
        exit 1
    fi
    number=0
    while read -r service address token rest || [ -n "$service" ]; do
        number=$((number + 1))
        case "$service ${address:+address} ${token:+token} $rest" in
            '   ' | '#'*) ;;
            'mail address  ') by mail "$address" ;;
            'ntfy address  ' | 'ntfy address token ') by ntfy "$address" "$token" ;;
            'slack address  ') by slack "$address" ;;
            'gotify address token ') by gotify "$address" "$token" ;;
            *)
                complain "$configuration: line $number is not understood"
                failed=yes
                ;;
        esac
    done <"$configuration"
fi
[ "$failed" = no ]
