# Sourced by the command-line tests about mistakes, after tests/tally.sh.

# Passes if the command exits with CODE, prints nothing, and says one line that holds every PART
# (joined by |): refuses CODE 'PART|PART' COMMAND…
refuses() {
    refuses_code=$1 refuses_parts=$2
    shift 2
    "$@" >"$scratch/stdout" 2>"$scratch/stderr"
    found=$?
    echo "exit status $found, expected $refuses_code; said:"
    cat "$scratch/stderr"
    [ "$found" -eq "$refuses_code" ] || return 1
    [ "$(wc -l <"$scratch/stderr")" -eq 1 ] || return 1
    [ ! -s "$scratch/stdout" ] || return 1
    while [ -n "$refuses_parts" ]; do
        refuses_part=${refuses_parts%%|*}
        grep -qF -e "$refuses_part" "$scratch/stderr" || {
            echo "nothing about: $refuses_part"
            return 1
        }
        case $refuses_parts in
        *"|"*) refuses_parts=${refuses_parts#*|} ;;
        *) refuses_parts= ;;
        esac
    done
}
