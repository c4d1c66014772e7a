"""Reads pages with the parsers of the official client and prints what they found, as JSON."""

import json
import math
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as text


def number(value):
    return "NaN" if math.isnan(value) else repr(float(value))


def read(is_open_metrics, page):
    samples = []
    for family in (open_metrics if is_open_metrics else text)(page):
        for sample in family.samples:
            exemplar = None
            if sample.exemplar:
                exemplar = {"labels": sample.exemplar.labels, "value": number(sample.exemplar.value)}
                exemplar["timestamp"] = number(sample.exemplar.timestamp)
            samples.append(
                {
                    "type": family.type,
                    "help": family.documentation,
                    "name": sample.name,
                    "labels": sample.labels,
                    "value": number(sample.value),
                    "exemplar": exemplar,
                }
            )
    return samples


def main():
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"samples": read(request["open_metrics"], request["page"])}
        except Exception as error:
            answer = {"error": repr(error)}
        print(json.dumps(answer), flush=True)


main()
