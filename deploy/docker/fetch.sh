#!/bin/sh
# Fetches what the images are built from into deploy/docker/offline/, for a build where no registry is within reach.
# Run it where there is one, with Python 3.11, pip and npm; what it fetches is checked again, by hash, in the build.
set -eu
cd "$(dirname "$0")/../.."
offline=deploy/docker/offline
rm -rf "$offline/wheels" "$offline/npm"
"${PYTHON:-python3}" -m pip download --quiet --quiet --require-hashes --only-binary :all: --dest "$offline/wheels" -r requirements.txt
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp package.json package-lock.json "$scratch"
(cd "$scratch" && "${NPM:-npm}" ci --omit=dev --ignore-scripts --no-audit --no-fund --silent --cache "$scratch/npm")
rm -rf "$scratch/npm/_logs"
mv "$scratch/npm" "$offline/npm"
