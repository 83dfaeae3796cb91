#!/bin/sh
# What both recipes run inside the image: the package with the pinned versions, checked by starting it.
# usage: install.sh FOLDER, which holds the checkout and stays where it is
set -eu
cd "$1"
python -m pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt --editable '.[slurm]'
python -m pip check
medidiff check configs/demo.yaml
