#!/bin/bash
curl --silent --show-error --fail-with-body "http://127.0.0.1:${PROSODY_HTTP_PORT:-5280}/health"
