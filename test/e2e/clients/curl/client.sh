#!/usr/bin/env bash
# Calls an OpenAI-style API with curl and prints, as one JSON document, all it saw: for each call its
# name, and a list of status, headers (but for the time of day) and the body's digest.
#
# BASE_URL and API_KEY come from the environment.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

separator='{'

# call NAME ARGUMENTS... prints one entry. Values are hexadecimal, so that they need no escapes.
call() {
  local name=$1 status
  shift
  : >"$work/headers" # curl leaves it alone where no header comes
  status=$(curl --silent --show-error --noproxy '*' --http1.1 --max-time 60 \
    --header "Authorization: Bearer $API_KEY" --dump-header "$work/headers" --output "$work/body" \
    --write-out '%{http_code} %{size_download} %{num_redirects}' "$@")
  [[ " $* " != *' --head '* ]] || : >"$work/body" # it holds the headers, and the time of day
  tr -d '\r' <"$work/headers" | sed 's/^[^:]*:/\L&/' | grep -v '^date:' | LC_ALL=C sort >"$work/sorted"
  printf '%s\n"%s": ["%s", "%s", "%s"]' "$separator" "$name" "$status" \
    "$(od -An -v -tx1 "$work/sorted" | tr -d ' \n')" "$(sha256sum <"$work/body" | cut -d' ' -f1)"
  separator=','
}

json=(--header 'Content-Type: application/json')
stream='{"model":"m","stream":true,"messages":[{"role":"user","content":"one two"}]}'
head -c 3000000 /dev/zero | tr '\0' 'a' >"$work/large"

call models "$BASE_URL/models"
call head --head "$BASE_URL/models"
call slash "$BASE_URL/models/meta%2Fllama"
call chat "${json[@]}" --data "${stream/true/false}" "$BASE_URL/chat/completions"
call stream "${json[@]}" --no-buffer --data "$stream" "$BASE_URL/chat/completions"
call compressed "${json[@]}" --header 'Mock-Encoding: gzip' --compressed --data "$stream" "$BASE_URL/chat/completions"
call form --form purpose=batch --form "file=@$work/large" "$BASE_URL/files"
call transcription --form model=whisper-1 --form "file=@$work/large" "$BASE_URL/audio/transcriptions"
call speech "${json[@]}" --header 'Mock-Size: 2000000' --data '{"input":"a"}' "$BASE_URL/audio/speech"
call chunked "${json[@]}" --header 'Transfer-Encoding: chunked' --data "$stream" "$BASE_URL/chat/completions"
call waiting "${json[@]}" --header 'Expect: 100-continue' --data "$stream" "$BASE_URL/chat/completions"
call missing "$BASE_URL/models/none"
call busy --header 'Mock-Status: 429' --header 'Mock-Header: Retry-After: 7' "$BASE_URL/models"
printf '\n}\n'
