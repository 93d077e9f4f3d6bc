"""The generated part: models and operations. Do not edit it: `generate.sh` writes it from openapi/numberdesk.json."""
