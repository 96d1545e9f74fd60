"""Measures the daemon under load. Started by `load`; prints what docs/performance.md states."""

import argparse
import contextlib
import gzip
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "compare"))

import measure as compare  # noqa: E402  (benches/compare/measure.py: the job as it was first written)
import produce  # noqa: E402
import services  # noqa: E402

#: Objects of one commit, at most.
MERGES = (1, 3, 10, 30, 100)
#: How often the files are counted, under other names: to see whether memory grows, and commits at their full size.
ROUNDS = 10
ROUNDS_OF_MERGES = 5
#: Uploads that the idle daemon is timed with.
UPLOADS = 200


class Load:
    def __init__(self, options, database):
        self.options, self.database = options, database
        self.metadata = produce.metadata()
        self.files = files(os.path.join(options.work, "files"), options.files, options.rows)
        self.rows = options.files * options.rows

    def fresh(self):
        return contextlib.closing(Fresh(self.database, self.options.binary, self.metadata))

    def environment(self, fresh, source, **settings):
        environment = {"PATH": os.environ["PATH"], "XC2__STORE__URL": fresh.url, "XC2__SOURCE__URL": source}
        environment.update(XC2__TELEMETRY__LEVEL="error", **services.CREDENTIALS, **settings)
        return environment

    def counted(self, fresh, folder, **settings):
        """Runs the daemon over a folder, once: (seconds, megabytes resident at each tenth of a second)."""
        log = open(os.path.join(self.options.work, "daemon.log"), "w", encoding="utf-8")
        begun = time.perf_counter()
        process = subprocess.Popen(
            [self.options.binary, "run"], env=self.environment(fresh, folder, **settings), stderr=log
        )
        resident = []
        while process.poll() is None:
            resident.append(resident_megabytes(process.pid))
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
        assert process.returncode == 0, open(log.name, encoding="utf-8").read()
        return time.perf_counter() - begun, [size for size in resident if size]


class Fresh:
    """A database for one measurement, gone after it."""

    def __init__(self, database, binary, metadata):
        self.database, self.name = database, database.fresh(binary, metadata)
        self.url = database.url(self.name)

    def one(self, sql):
        return self.database.one(self.name, sql)

    def close(self):
        self.database.drop(self.name)


def files(folder, count, rows):
    """Made once for each number of rows: like the logs of one busy hour, cut into many."""
    os.makedirs(folder, exist_ok=True)
    paths = [os.path.join(folder, "%d-rows-%04d.pkl.gz" % (rows, number)) for number in range(count)]
    for number, path in enumerate(paths):
        if not os.path.exists(path):
            with open(path + ".new", "wb") as file:
                made = produce.rows(random.Random(number), rows)
                file.write(gzip.compress(pickle.dumps(made, 4), 6, mtime=0))
            os.rename(path + ".new", path)
    return paths


def linked(folder, paths, rounds):
    """A folder in which each file lies under several names, each an object of its own."""
    subprocess.run(["rm", "-rf", folder], check=True)
    for turn in range(rounds):
        os.makedirs(os.path.join(folder, str(turn)))
        for path in paths:
            os.link(path, os.path.join(folder, str(turn), os.path.basename(path)))
    return folder


def resident_megabytes(pid):
    with contextlib.suppress(OSError), open("/proc/%d/status" % pid, encoding="ascii") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return None


def original(load, fresh, paths):
    """The job as it was first written: pandas, then one upsert of many rows for each report, a commit a file."""
    media, inventory = compare.tables_of(load.metadata)
    with load.database.connect(fresh.name) as connection:
        for path in paths:
            with connection.cursor() as cursor:
                for table, frame in compare.original(path, media, inventory).items():
                    dimensions, measures = compare.REPORTS[table]
                    columns = [*dimensions, *measures]
                    added = ", ".join("%s = %s + VALUES(%s)" % (name, name, name) for name in measures)
                    sql = "INSERT INTO %s (%s) VALUES (%s) ON DUPLICATE KEY UPDATE %s" % (
                        table, ", ".join(columns), ", ".join(["%s"] * len(columns)), added,
                    )  # fmt: skip
                    cursor.executemany(sql, frame[columns].values.tolist())
            connection.commit()


def sums(fresh):
    """What both ways must agree on: whole numbers exactly, and as many cells."""
    tables = ("report_ad", "report_ad_request", "report_demand", "report_media")
    cells = tuple(fresh.one("SELECT COUNT(*) FROM " + table) for table in tables)
    counts = ("SELECT SUM(impressions) FROM report_ad", "SELECT SUM(requests) FROM report_ad_request")
    return cells, tuple(int(fresh.one(sql)) for sql in counts)


def rates(name, rows, objects, seconds):
    print("  %-44s %9.0f rows/s %8.1f objects/s" % (name, rows / seconds, objects / seconds), flush=True)
    return rows / seconds


def backlog(load):
    print("\nbacklog: %d objects of %d rows" % (len(load.files), load.options.rows), flush=True)
    few = load.files[: max(1, len(load.files) // 10)]
    with load.fresh() as fresh:
        begun = time.perf_counter()
        original(load, fresh, few)
        theirs = rates("pandas and PyMySQL", len(few) * load.options.rows, len(few), time.perf_counter() - begun)
        expected = sums(fresh)
    with load.fresh() as fresh:
        load.counted(fresh, linked(os.path.join(load.options.work, "few"), few, 1))
        assert sums(fresh) == expected, (sums(fresh), expected)
    print("  (both ways agree on the cells and counts of these %d objects)" % len(few))
    folder = linked(os.path.join(load.options.work, "backlog"), load.files, ROUNDS)
    with load.fresh() as fresh:
        seconds, resident = load.counted(fresh, folder)
        ours = rates("the daemon, defaults", load.rows * ROUNDS, len(load.files) * ROUNDS, seconds)
        counted = fresh.one("SELECT COUNT(*) FROM processed_object")
        assert counted == len(load.files) * ROUNDS, counted
    print("  the daemon is faster by %.1f" % (ours / theirs))
    tenths = [resident[len(resident) * tenth // 10] for tenth in range(1, 10)]
    print("  resident MiB at each tenth of %.0f s: %s; highest %.0f" % (
        seconds, " ".join("%.0f" % size for size in tenths), max(resident),
    ))  # fmt: skip


def merges(load):
    objects, rows = len(load.files) * ROUNDS_OF_MERGES, load.rows * ROUNDS_OF_MERGES
    print("\nmerges: %d objects of %d rows; bare: the upserts of the same merged cells, alone" % (objects, load.options.rows))
    print("  %-10s %10s %10s %10s %10s %8s %10s" % ("at most", "a commit", "cells", "bare, s", "daemon, s", "ratio", "rows/s"))
    folder = linked(os.path.join(load.options.work, "merges"), load.files, ROUNDS_OF_MERGES)
    for merge in MERGES:
        with load.fresh() as fresh:
            seconds, _ = load.counted(fresh, folder, XC2__STORE__MERGE_OBJECTS_MAX=str(merge))
            made = commits(load, fresh, folder)
        with load.fresh() as fresh:
            path = os.path.join(load.options.work, "merges.json")
            with open(path, "w", encoding="utf-8") as file:
                json.dump(made, file)
            command = [load.options.upserts, "--url", fresh.url, path]
            said = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        bare = said["statements_seconds"] + said["commits_seconds"]
        print("  %-10d %10.1f %10d %10.2f %10.2f %8.2f %10.0f" % (
            merge, objects / len(made), said["cells"], bare, seconds, seconds / bare, rows / seconds,
        ), flush=True)  # fmt: skip


def commits(load, fresh, folder):
    """The files of each commit that the daemon made, in their order: the ledger has one time for all of a commit."""
    merged = {}
    with load.database.connect(fresh.name) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT committed_at, object_key FROM processed_object ORDER BY committed_at")
        for committed_at, key in cursor.fetchall():
            merged.setdefault(committed_at, []).append(os.path.join(folder, key))
    return list(merged.values())


def idle(load):
    print("\nidle: from the start of an upload to its committed report, %d uploads one by one" % UPLOADS, flush=True)
    for wait in ("1s", "50ms"):
        with services.cloud() as cloud, load.fresh() as fresh:
            settings = {"AWS_ENDPOINT_URL": cloud.endpoint, "XC2__SOURCE__BATCH_WAIT": wait}
            environment = load.environment(fresh, cloud.queue_url, **settings)
            log = open(os.path.join(load.options.work, "daemon.log"), "w", encoding="utf-8")
            process = subprocess.Popen([load.options.binary, "run"], env=environment, stderr=log)
            times = [upload(load, fresh, cloud, process, number) for number in range(UPLOADS)]
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        times = sorted(times[5:])  # the first ones open connections
        print("  batch_wait %-5s p50 %.3f s, p99 %.3f s" % (
            wait, times[len(times) // 2], times[len(times) * 99 // 100],
        ), flush=True)  # fmt: skip


def upload(load, fresh, cloud, process, number):
    """Seconds until somebody else sees the object's sums."""
    with open(load.files[number % len(load.files)], "rb") as file:
        body = file.read()
    begun = time.perf_counter()
    cloud.s3.put_object(Bucket="logs", Key="%d.pkl.gz" % number, Body=body)
    with load.database.connect(fresh.name) as connection, connection.cursor() as cursor:
        connection.autocommit(True)
        while True:
            cursor.execute("SELECT COUNT(*) FROM processed_object")
            if cursor.fetchone()[0] > number:
                return time.perf_counter() - begun
            assert process.poll() is None, "the daemon ended"
            assert time.perf_counter() - begun < services.PATIENCE_SECONDS, "nothing was counted"
            time.sleep(0.002)


PARTS = {"backlog": backlog, "merges": merges, "idle": idle}


def main():
    parser = argparse.ArgumentParser(description="Measures the daemon under load.")
    parser.add_argument("--work", required=True, metavar="DIR")
    parser.add_argument("--binary", required=True, metavar="PATH", help="xc2-analyzer, release")
    parser.add_argument("--upserts", required=True, metavar="PATH", help="the compiled benches/upserts.rs")
    parser.add_argument("--files", type=int, default=100, metavar="N")
    parser.add_argument("--rows", type=int, default=10_000, metavar="N", help="of each file")
    parser.add_argument("--part", default=",".join(PARTS), metavar="PART,..")
    options = parser.parse_args()
    with services.database(os.path.join(options.work, "mariadb")) as database:
        load = Load(options, database)
        for part in options.part.split(","):
            PARTS[part](load)


if __name__ == "__main__":
    main()
