case $MODE in
check) check "$2" "$3" ;;
apply | back) apply ;;
look) look ;;
records) records ;;
list) list "$2" ;;
prove) prove ;;
*) die "unknown: $MODE" ;;
esac
exit 0
