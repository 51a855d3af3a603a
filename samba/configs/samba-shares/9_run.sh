case $MODE in
check) check "$2" "$3" ;;
apply | back) apply ;;
look) look ;;
prove) prove ;;
*) die "unknown: $MODE" ;;
esac
exit 0
