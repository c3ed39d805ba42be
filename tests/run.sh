#!/usr/bin/env bash
# Runs the tests of a build and ends with "N passed, N failed, N skipped".
#   BUILD=build bash tests/run.sh all|asan|tsan
#   BUILD=build bash tests/run.sh only PROGRAM|FILE.py...
# C tests print TAP; a program that dies or prints no result counts as one failure. Python tests run in
# "all" and "only". With RESULTS=FILE the three numbers are also appended to that file; with
# UNDER="TOOL OPTIONS" C tests run under that tool.
set -u
mode=${1:-all}
[ $# -gt 0 ] && shift
build=${BUILD:-build}
passed=0 failed=0 skipped=0
case $mode in
all | only) ;;
# Drivers are not instrumented and GPU memory is not theirs: tests that need a GPU are to find none.
asan | tsan) export CUDA_VISIBLE_DEVICES="" ;;
*) echo "run.sh: unknown mode '$mode'" >&2; exit 2 ;;
esac
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=suppressions=tests/setup/tsan.supp:halt_on_error=0
export HSCHED_TEST_MODE=$mode
[ "$mode" = only ] && HSCHED_TEST_MODE=all
read -ra under <<<"${UNDER:-}"
export CMOCKA_MESSAGE_OUTPUT=TAP
# Kernels chosen by measuring are of these tests, not of the user.
mkdir -p "$build/test-cache"
HSCHED_CACHE_DIR=$(cd "$build/test-cache" && pwd)
export HSCHED_CACHE_DIR

run_c_test() {
    local program=$1 name=${1#"$build"/tests/} out status p f s start=$SECONDS
    out=$(timeout "${TEST_TIMEOUT:-900}" "${under[@]}" "$program" 2>&1)
    status=$?
    p=$(grep -cE '^ok [0-9]+( |$)' <<<"$out")
    s=$(grep -cE '^(not )?ok .*# SKIP' <<<"$out")
    p=$((p - $(grep -cE '^ok .*# SKIP' <<<"$out")))
    f=$(grep -E '^not ok' <<<"$out" | grep -vc '# SKIP')
    if [ "$status" -ne 0 ] && [ "$f" -eq 0 ] || [ $((p + f + s)) -eq 0 ]; then
        f=$((f + 1))
    fi
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    printf '  %-4s %-40s %d passed, %d failed, %d skipped (%d s)\n' \
        "$([ "$f" -eq 0 ] && echo ok || echo FAIL)" "$name" "$p" "$f" "$s" $((SECONDS - start))
    if [ "$f" -ne 0 ]; then
        sed 's/^/       | /' <<<"$out" | tail -n 80
        echo "       exit status $status"
    elif [ "$s" -ne 0 ]; then
        # Why, if the program says so; else which.
        { grep -i 'skip' <<<"$out" | grep -vE '^(not )?ok ' || grep -i 'skip' <<<"$out"; } |
            sed 's/^/       | /' | sort -u | head -n 5
    fi
}

run_python_tests() {
    local report=$build/pytest.xml counts p f s
    rm -f "$report"
    "$build/venv/bin/python" -m pytest -q -rs -p no:cacheprovider --junitxml="$report" "$@"
    counts=$("$build/venv/bin/python" - "$report" <<'PY'
import sys, xml.etree.ElementTree as tree
try:
    suite = tree.parse(sys.argv[1]).getroot().find("testsuite").attrib
    bad = int(suite["failures"]) + int(suite["errors"])
    skipped = int(suite["skipped"])
    print(int(suite["tests"]) - bad - skipped, bad, skipped)
except Exception:
    print(0, 1, 0)
PY
    )
    read -r p f s <<<"$counts"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

if [ "$mode" = only ]; then
    for test in "$@"; do
        case $test in
        *.py) run_python_tests "$test" ;;
        *) run_c_test "$test" ;;
        esac
    done
else
    for program in "$build"/tests/*/test_*; do
        [ -x "$program" ] && [ ! -d "$program" ] && [[ $program != *.d ]] || continue
        # Simulations and searches have one thread, for minutes: nothing for ThreadSanitizer.
        case $mode:${program##*/} in
        tsan:test_simulation | tsan:test_simulation_objective | tsan:test_placement_random) continue ;;
        esac
        run_c_test "$program"
    done
fi

if [ "$mode" = all ]; then
    # The same on an older processor, as far as oneDNN is concerned, and with other steps.
    DNNL_MAX_CPU_ISA=AVX2 HSCHED_TEST_SEED=2 run_c_test "$build/tests/backend/test_backend"
    run_python_tests tests
fi

[ -n "${RESULTS:-}" ] && echo "$passed $failed $skipped" >>"$RESULTS"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
