#!/bin/sh
# more.sh PROGRAM CORPUS [OPTION...]: lets libFuzzer start from CORPUS without ever writing into it. What it finds is written
# into a scratch folder that goes when nothing was found.
program=$1
corpus=$2
shift 2
scratch=$(mktemp -d) || exit
trap 'rm -rf "$scratch"; exit 130' INT TERM
mkdir "$scratch/found"
if "$program" -artifact_prefix="$scratch/" -timeout=60 -rss_limit_mb=2048 "$@" "$scratch/found" "$corpus"; then
    rm -rf "$scratch"
else
    rm -rf "$scratch/found"
    echo "what broke it: $(ls "$scratch"/*)" >&2
    exit 1 # not libFuzzer's 77, which meson takes for a test that was skipped
fi
