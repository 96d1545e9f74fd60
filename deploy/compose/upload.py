"""Uploads generated log files, as the platform's servers write them: upload.py [FILES [ROWS]]"""

import datetime
import gzip
import os
import pickle
import random
import sys
import time

import boto3

FILES = int(sys.argv[1]) if len(sys.argv) > 1 else 1
ROWS = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
BUCKET = "ad-logs"


def row(now):
    imp = int(random.random() < 0.7)
    clk = int(imp and random.random() < 0.02)
    return {
        "ts": now - random.randrange(3600),
        "mid": f"m{random.randrange(1000, 1040)}",
        "ads": [{"aid": random.randrange(4500, 4600), "_god": random.randrange(800, 900), "did": random.randrange(10, 20)}],
        "xreq": 1,
        "xres": imp,
        "xpsb": 1 - imp,
        "imp": imp,
        "clk": clk,
        "rev": round(random.uniform(0.1, 5) * imp + 120 * clk, 6),
    }


s3 = boto3.client("s3", region_name=os.environ["AWS_REGION"])
for number in range(1, FILES + 1):
    now = int(time.time())
    day = datetime.datetime.fromtimestamp(now, datetime.timezone.utc).strftime("%Y/%m/%d")
    key = f"logs/{day}/{time.time_ns()}.pkl.gz"
    body = gzip.compress(pickle.dumps([row(now) for _ in range(ROWS)], protocol=4))
    s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    print(f"{number} of {FILES}: s3://{BUCKET}/{key}, {ROWS} rows, {len(body)} bytes")
