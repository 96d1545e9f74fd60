"""The servers that the daemon works with, private to one measurement: MariaDB, and an emulator of S3 and SQS."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time

import boto3
import pymysql

#: As an operator would give it, and the same for everyone who is measured: 1 GiB; the log is written at every commit.
SERVER = ("--innodb-buffer-pool-size=1G", "--innodb-log-file-size=512M", "--innodb-flush-log-at-trx-commit=1")
PATIENCE_SECONDS = 60
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}


def program(name):
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin:/usr/libexec")
    return found or sys.exit("%s is not installed: apt-get install mariadb-server" % name)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def await_port(port, process):
    for _ in range(PATIENCE_SECONDS * 50):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        if process.poll() is not None:
            sys.exit("%s ended with %s" % (process.args[0], process.returncode))
        time.sleep(0.02)
    sys.exit("%s does not listen" % process.args[0])


@contextlib.contextmanager
def running(*command):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


class Database:
    """One server; each measurement has a fresh database of its own in it."""

    def __init__(self, port):
        self.port = port
        self.made = 0

    def url(self, name):
        return "mysql://root@127.0.0.1:%d/%s" % (self.port, name)

    def connect(self, name=None):
        return pymysql.connect(host="127.0.0.1", port=self.port, user="root", database=name, charset="utf8mb4")

    def fresh(self, binary, metadata):
        """A database with the tables of `migrate` and the metadata; its name."""
        self.made += 1
        name = "load%d" % self.made
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE %s" % name)
        environment = {"PATH": os.environ["PATH"], "XC2__STORE__URL": self.url(name)}
        subprocess.run([binary, "migrate"], env=environment, check=True, capture_output=True)
        with self.connect(name) as connection, connection.cursor() as cursor:
            for table in ("media", "inventory"):
                fields = list(metadata[table][0])
                values = ", ".join(["%s"] * len(fields))
                sql = "INSERT INTO %s (%s) VALUES (%s)" % (table, ", ".join(fields), values)
                cursor.executemany(sql, [tuple(row[field] for field in fields) for row in metadata[table]])
            connection.commit()
        return name

    def drop(self, name):
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("DROP DATABASE %s" % name)

    def one(self, name, sql):
        with self.connect(name) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()[0]


@contextlib.contextmanager
def database(folder):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    data, port = os.path.join(folder, "data"), free_port()
    as_root = ["--user=root"] if os.getuid() == 0 else []
    install = [program("mariadb-install-db"), "--no-defaults", "--datadir=" + data, *as_root, "--skip-test-db"]
    install += ["--auth-root-authentication-method=normal", "--skip-name-resolve"]
    subprocess.run(install, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    serve = [program("mariadbd"), "--no-defaults", *as_root, "--datadir=" + data, "--port=%d" % port]
    serve += ["--socket=" + os.path.join(folder, "socket"), "--bind-address=127.0.0.1", "--skip-name-resolve"]
    serve += ["--tmpdir=" + folder, "--log-error=" + os.path.join(folder, "log"), *SERVER]
    with running(*serve) as process:
        await_port(port, process)
        yield Database(port)
    shutil.rmtree(folder, ignore_errors=True)


class Cloud:
    """A bucket that announces its objects on a queue."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        options = {"endpoint_url": endpoint, "region_name": "us-east-1"}
        options.update(aws_access_key_id="test", aws_secret_access_key="test")
        self.s3, self.sqs = boto3.client("s3", **options), boto3.client("sqs", **options)
        self.s3.create_bucket(Bucket="logs")
        self.queue_url = self.sqs.create_queue(QueueName="logs")["QueueUrl"]
        names = ["QueueArn"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=names)["Attributes"]["QueueArn"]
        announced = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
        self.s3.put_bucket_notification_configuration(Bucket="logs", NotificationConfiguration=announced)


@contextlib.contextmanager
def cloud():
    port = free_port()
    server = os.path.join(os.path.dirname(sys.executable), "moto_server")
    with running(server, "-H", "127.0.0.1", "-p", str(port)) as process:
        await_port(port, process)
        yield Cloud("http://127.0.0.1:%d" % port)
