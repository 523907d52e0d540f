# Completion of routerctl(1) for bash. The program itself knows what may stand next, and asks the
# router for names; it is the one that is typed, with its options.
_routerctl()
{
    local word=${COMP_WORDS[COMP_CWORD]} IFS=$'\n'
    COMPREPLY=()
    case ${COMP_WORDS[COMP_CWORD - 1]} in
    -s | --socket)
        compopt -o filenames 2>/dev/null
        COMPREPLY=($(compgen -f -- "$word"))
        return
        ;;
    esac
    COMPREPLY=($("$1" --complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null </dev/null))
}
complete -F _routerctl routerctl
