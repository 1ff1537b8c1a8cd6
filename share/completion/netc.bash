# Completion of netc for bash.
_netc() {
  local current=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]}
  if [ "$COMP_CWORD" = 1 ]; then
    COMPREPLY=($(compgen -W "build emit check summary show graph dump help explain tune compare --help --version" -- "$current"))
    return
  fi
  case ${COMP_WORDS[COMP_CWORD - 1]} in
  --after) COMPREPLY=($(compgen -W "freeze lower autodiff fold fuse dce select hoist schedule plan" -- "$current")); return ;;
  --tune) COMPREPLY=($(compgen -f -X '!*.tune' -- "$current") $(compgen -d -- "$current")); return ;;
  --isa) COMPREPLY=($(compgen -W "auto avx512 avx2 neon portable" -- "$current")); return ;;
  --disable-pass) COMPREPLY=($(compgen -W "freeze fold fuse dce hoist schedule plan" -- "$current")); return ;;
  esac
  case $current in
  -*)
    COMPREPLY=($(compgen -W "$(netc "$command" --help 2>/dev/null | grep -o -- '^  -[-a-z]*')" -- "$current"))
    return
    ;;
  esac
  case $command in
  help) COMPREPLY=($(compgen -W "build emit check summary show graph dump help explain tune compare $(netc help 2>/dev/null | tr -cs 'a-z0-9_' '\n')" -- "$current")) ;;
  explain) COMPREPLY=($(compgen -W "$(netc explain 2>/dev/null | cut -d' ' -f1)" -- "$current")) ;;
  *) COMPREPLY=($(compgen -f -X '!*.net' -- "$current") $(compgen -d -- "$current")) ;;
  esac
}
complete -o filenames -F _netc netc
