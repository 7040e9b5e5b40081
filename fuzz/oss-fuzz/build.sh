#!/bin/bash -eu
# Builds the fuzz targets as OSS-Fuzz asks for it: $CC, $CXX, $CFLAGS, $CXXFLAGS and $LIB_FUZZING_ENGINE are given,
# sources are in $SRC, what is built goes to $WORK, targets and what belongs to them to $OUT. Run in the repository.
build=$WORK/mvm-guest
NANOPB_DIR=${NANOPB_DIR:-$SRC/nanopb}

make -j "$(nproc)" BUILD="$build" OUT="$OUT" NANOPB_DIR="$NANOPB_DIR" WARN=-Wall EXTRA_CFLAGS= fuzzers "$build/fuzz/seeds"

# The first inputs, the same for all: each target reads frames.
rm -rf "$build/seeds"
mkdir -p "$build/seeds"
"$build/fuzz/seeds" "$build/seeds"

for source in fuzz/fuzz_*.c; do
    target=$(basename -s .c "$source")
    fuzz/dictionary "$target" >"$OUT/$target.dict"
    rm -f "$OUT/${target}_seed_corpus.zip"
    (cd "$build/seeds" && zip -q -r "$OUT/${target}_seed_corpus.zip" .)
    [ ! -d "fuzz/findings/$target" ] || zip -q -j -r "$OUT/${target}_seed_corpus.zip" "fuzz/findings/$target"
    printf '[libfuzzer]\nmax_len = 1000\ntimeout = 10\n' >"$OUT/$target.options"
done
