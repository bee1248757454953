#!/bin/sh
# deploy/setup.sh TEMPLATE FOLDER: make FOLDER/otp.toml of the template, with secrets and an API key (FOLDER/shop.key)
# of its own. They are made once and kept: a later start takes over what was changed in the template.
set -eu
template=$1 folder=$2
umask 077

# Each file gets its name when it is complete: a start that was cut off begins anew.
if [ ! -e "$folder/secrets.toml" ]; then
    otp-service secrets new >"$folder/new"
    mv "$folder/new" "$folder/secrets.toml"
fi
if [ ! -e "$folder/clients.toml" ]; then
    otp-service keys new shop >"$folder/key" 2>/dev/null
    sed -n 's/^key //p' "$folder/key" >"$folder/shop.key"
    { printf '[[clients]]\nname = "shop"\n'; sed -n '/^key_hashes/p' "$folder/key"; } >"$folder/new"
    rm "$folder/key"
    mv "$folder/new" "$folder/clients.toml"
fi
cat "$template" "$folder/secrets.toml" "$folder/clients.toml" >"$folder/new"
mv "$folder/new" "$folder/otp.toml"
echo "the API key: docker compose exec api cat shop.key"
