#!/usr/bin/env python3
"""Writes `tests/data/notifications/*.json`: bodies of queue messages as AWS sends them, and what each announces.

    python3 tests/oracle/notifications.py [--out DIR]

Each file: {"name", "body": exactly the text in the message, "expect": {"objects": [...]} or {"unreadable": true}}.
An object is {"bucket", "key" (decoded), "version_id", "etag", "sequencer", "bytes"}; what was not said is null.

Formats: Amazon S3 user guide, "Event message structure" and "EventBridge event message structure"; Amazon SNS
developer guide, "Fanout to Amazon SQS queues". Keys: S3 and SNS form-encode them (space is `+`, `/` stays or is `%2F`),
EventBridge leaves them as they are.
"""

import argparse
import json
import os
import sys

BUCKET = "ad-logs"
ETAG = "d41d8cd98f00b204e9800998ecf8427e"
VERSION = "096fKKXTRTtl3on89fVO.nfljtsv6qko"
SEQUENCER = "0055AED6DCD90281E5"
TOPIC = "arn:aws:sns:ap-northeast-2:123456789012:ad-logs"
UNREADABLE = {"unreadable": True}
NOTHING = {"objects": []}


def announced(key, version_id=VERSION, etag=ETAG, sequencer=SEQUENCER, bytes_=1024, bucket=BUCKET):
    return {
        "bucket": bucket,
        "key": key,
        "version_id": version_id,
        "etag": etag,
        "sequencer": sequencer,
        "bytes": bytes_,
    }


def objects(*announcements):
    return {"objects": list(announcements)}


# --- S3


def s3_record(event, key, event_version="2.1", bucket=BUCKET, **object_fields):
    """One record; `object_fields` in the order in which S3 writes them."""
    return {
        "eventVersion": event_version,
        "eventSource": "aws:s3",
        "awsRegion": "ap-northeast-2",
        "eventTime": "2024-06-09T15:00:01.123Z",
        "eventName": event,
        "userIdentity": {"principalId": "AWS:AROAEXAMPLE:ad-server-7"},
        "requestParameters": {"sourceIPAddress": "10.0.3.17"},
        "responseElements": {
            "x-amz-request-id": "C3D13FE58DE4C810",
            "x-amz-id-2": "FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG4V5Wp6S7S/JRWeUWerMUE5JgHvANOjpD",
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "ad-logs-to-sqs",
            "bucket": {
                "name": bucket,
                "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                "arn": "arn:aws:s3:::" + bucket,
            },
            "object": dict({"key": key}, **object_fields),
        },
    }


def created(key, event="ObjectCreated:Put", version=VERSION, **changes):
    fields = {"size": 1024, "eTag": ETAG}
    if version is not None:
        fields["versionId"] = version
    fields["sequencer"] = SEQUENCER
    fields.update(changes)
    return s3_record(event, key, **fields)


def s3(*records):
    return compact({"Records": list(records)})


def compact(value):
    """S3 and SNS write without spaces and escape nothing that JSON lets stand."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


TEST_EVENT = compact({
    "Service": "Amazon S3",
    "Event": "s3:TestEvent",
    "Time": "2024-06-09T14:26:12.912Z",
    "Bucket": BUCKET,
    "RequestId": "5582815E1AEA5ADF",
    "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR+YstdA6Knx4Ip8EXAMPLE",
})  # fmt: skip

#: (name, key as S3 sends it, key as it is)
KEYS = (
    ("plain slashes", "logs/2024/06/09/part-00001.pkl.gz", "logs/2024/06/09/part-00001.pkl.gz"),
    ("encoded slashes", "logs%2F2024%2F06%2F09%2Fpart-00001.pkl.gz", "logs/2024/06/09/part-00001.pkl.gz"),
    ("space and plus", "logs/this+im+%2B+age+blah.pkl.gz", "logs/this im + age blah.pkl.gz"),
    ("space as percent 20", "logs/a%20b.pkl.gz", "logs/a b.pkl.gz"),
    ("hive folders", "logs/dt%3D2024-06-09/hour%3D23/10%3A47%3A07.pkl.gz", "logs/dt=2024-06-09/hour=23/10:47:07.pkl.gz"),
    ("korean", "%EB%A1%9C%EA%B7%B8/%EB%A7%A4%EC%B2%B4+1.pkl.gz", "로그/매체 1.pkl.gz"),
    ("korean in lower-case hex", "%eb%a1%9c%ea%b7%b8/x.pkl.gz", "로그/x.pkl.gz"),
    ("korean decomposed", "%E1%84%92%E1%85%A1%E1%86%AB/x.pkl.gz", "\u1112\u1161\u11ab/x.pkl.gz"),
    ("percent stays after one decoding", "logs/100%25/%252Fdone%2520.pkl.gz", "logs/100%/%2Fdone%20.pkl.gz"),
    ("punctuation", "logs/%281%29+copy/a%40b%2Cc%3B%26%24%27%21~*.pkl.gz", "logs/(1) copy/a@b,c;&$'!~*.pkl.gz"),
    ("emoji", "logs/%F0%9F%98%80.pkl.gz", "logs/😀.pkl.gz"),
    ("leading slash and empty parts", "/logs//x.pkl.gz", "/logs//x.pkl.gz"),
    ("dots", "logs/../x/./y.pkl.gz", "logs/../x/./y.pkl.gz"),
)


def s3_bodies():
    key = "logs/2024/06/09/part-00001.pkl.gz"
    yield "s3 put", s3(created(key)), objects(announced(key))
    yield "s3 put without version", s3(created(key, version=None)), objects(announced(key, None))
    yield "s3 put with version null", s3(created(key, versionId=None)), objects(announced(key, None))
    yield "s3 post", s3(created(key, "ObjectCreated:Post")), objects(announced(key))
    yield "s3 copy", s3(created(key, "ObjectCreated:Copy", version=None)), objects(announced(key, None))
    multipart = "8eabe9d6b43316e840b079170916c079-12"
    yield (
        "s3 multipart upload",
        s3(created(key, "ObjectCreated:CompleteMultipartUpload", eTag=multipart, size=5_497_558_138_880)),
        objects(announced(key, etag=multipart, bytes_=5_497_558_138_880)),
    )
    yield (
        "s3 event version 2.5 with new fields",
        s3(dict(created(key), eventVersion="2.5", newThing={"a": [1]})),
        objects(announced(key)),
    )
    yield "s3 empty object", s3(created(key, size=0)), objects(announced(key, bytes_=0))
    yield (
        "s3 emulator without user and sequencer",
        json.dumps({"Records": [_as_an_emulator_sends("logs%2Fx+y.pkl.gz")]}),
        objects(announced("logs/x y.pkl.gz", None, sequencer=None, bytes_=17)),
    )
    for name, sent, decoded in KEYS:
        yield "s3 key " + name, s3(created(sent)), objects(announced(decoded))


def _as_an_emulator_sends(key):
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "ap-northeast-2",
        "eventTime": "2024-06-09T15:00:01.960196",
        "eventName": "ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "Hvbz1BEo54TcMErZnjXikawzOSxu0kdp",
            "bucket": {"name": BUCKET, "arn": "arn:aws:s3:::" + BUCKET},
            "object": {"key": key, "size": 17, "eTag": ETAG},
        },
    }


def s3_several_records():
    one, two = "logs/1.pkl.gz", "logs/2.pkl.gz"
    yield (
        "s3 three records of two buckets",
        s3(created(one), created(two, size=7), created(one, bucket="other-logs")),
        objects(announced(one), announced(two, bytes_=7), announced(one, bucket="other-logs")),
    )
    yield "s3 same object twice", s3(created(one), created(two), created(one)), objects(announced(one), announced(two))
    yield (
        "s3 same object under two encodings",
        s3(created("logs/1.pkl.gz"), created("logs%2F1.pkl.gz")),
        objects(announced(one)),
    )
    yield "s3 put and removal", s3(_removed(two), created(one)), objects(announced(one))


def _removed(key, event="ObjectRemoved:Delete", **fields):
    return s3_record(event, key, **dict(fields, sequencer=SEQUENCER))


def s3_that_announce_nothing():
    key = "logs/1.pkl.gz"
    yield "s3 removed", s3(_removed(key))
    yield "s3 removed version", s3(_removed(key, versionId=VERSION))
    yield "s3 delete marker", s3(_removed(key, "ObjectRemoved:DeleteMarkerCreated", eTag=ETAG, versionId=VERSION))
    lifecycle = _removed("expiration/delete", "LifecycleExpiration:Delete", event_version="2.3")
    lifecycle["userIdentity"] = {"principalId": "s3.amazonaws.com"}
    lifecycle["requestParameters"] = {"sourceIPAddress": "s3.amazonaws.com"}
    yield "s3 lifecycle expiration", s3(lifecycle)
    marker = dict(lifecycle, eventName="LifecycleExpiration:DeleteMarkerCreated")
    yield "s3 lifecycle delete marker", s3(marker)
    transition = dict(
        created(key, "LifecycleTransition", event_version="2.3"),
        lifecycleEventData={"transitionEventData": {"destinationStorageClass": "GLACIER"}},
    )
    yield "s3 lifecycle transition", s3(transition)
    restored = dict(
        created(key, "ObjectRestore:Completed"),
        glacierEventData={
            "restoreEventData": {
                "lifecycleRestorationExpiryTime": "2024-06-12T00:00:00.000Z",
                "lifecycleRestoreStorageClass": "GLACIER",
            }
        },
    )
    yield "s3 restore completed", s3(restored)
    yield "s3 restore initiated", s3(created(key, "ObjectRestore:Post"))
    yield "s3 restore expired", s3(_removed(key, "ObjectRestore:Delete", event_version="2.3"))
    yield "s3 tagging", s3(s3_record("ObjectTagging:Put", key, "2.3", eTag=ETAG, versionId=VERSION))
    yield "s3 acl", s3(s3_record("ObjectAcl:Put", key, "2.3", eTag=ETAG))
    replicated = dict(
        created(key, "Replication:OperationFailedReplication", event_version="2.2"),
        replicationEventData={
            "replicationRuleId": "notification-test-rule",
            "destinationBucket": "arn:aws:s3:::elsewhere",
            "s3Operation": "OBJECT_PUT",
            "requestTime": "2024-06-09T14:00:00.000Z",
            "failureReason": "DstBucketUnversioned",
        },
    )
    yield "s3 replication failed", s3(replicated)
    yield "s3 lost in reduced redundancy", s3(created(key, "ReducedRedundancyLostObject"))
    yield "s3 test event", TEST_EVENT
    yield "s3 test event of an emulator", json.dumps(
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2024-06-09T15:00:00.226096", "Bucket": BUCKET}
    )
    yield "s3 no records", s3()


# --- SNS


def sns(message, type_="Notification", **changes):
    """The envelope; with raw delivery there is none, and the body is the S3 body itself."""
    envelope = {
        "Type": type_,
        "MessageId": "450ec42d-4b69-506a-86ae-9cc2e72da847",
        "TopicArn": TOPIC,
        "Subject": "Amazon S3 Notification",
        "Message": message,
        "Timestamp": "2024-06-09T15:00:01.943Z",
        "SignatureVersion": "1",
        "Signature": "EXAMPLEiFyHMvPixYjdd7Comj0+dSlQTO1NEKIm1KhM3gi87NJkhnjyDCGVOE3mzfiWacZ6TZxsu0rjG2gzHZIyvO7LBUfM==",
        "SigningCertURL": "https://sns.ap-northeast-2.amazonaws.com/SimpleNotificationService-010a507c1833636cd94bdb98bd93083a.pem",
        "UnsubscribeURL": "https://sns.ap-northeast-2.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=" + TOPIC + ":9ac7c3a9",
    }
    envelope.update(changes)
    # SNS writes this one document over several lines.
    return json.dumps(envelope, ensure_ascii=False, indent=2, separators=(",", " : "))


def sns_bodies():
    key = "logs/this im + age 매체.pkl.gz"
    record = created("logs/this+im+%2B+age+%EB%A7%A4%EC%B2%B4.pkl.gz")
    yield "sns wrapped", sns(s3(record)), objects(announced(key))
    yield "sns raw delivery", s3(record), objects(announced(key))
    yield "sns wrapped two records", sns(s3(record, created("logs/2"))), objects(announced(key), announced("logs/2"))
    attributes = {"team": {"Type": "String", "Value": "ads"}}
    yield "sns wrapped with attributes", sns(s3(record), Subject=None, MessageAttributes=attributes), objects(announced(key))
    yield "sns wrapped removal", sns(s3(_removed("logs/1"))), NOTHING
    yield "sns wrapped test event", sns(TEST_EVENT), NOTHING
    event = eventbridge("Object Created", _created_detail("logs/a+b c%20d.pkl.gz"))
    yield "sns wrapped eventbridge", sns(event), objects(announced("logs/a+b c%20d.pkl.gz", sequencer="617f08299329d189"))
    yield "sns something else", sns("Hello world!", Subject="Testing publish to subscribed queues"), UNREADABLE
    yield "sns wrapped in sns", sns(sns("Hello world!")), UNREADABLE
    confirmation = sns(
        "You have chosen to subscribe to the topic " + TOPIC + ".",
        "SubscriptionConfirmation",
        Token="2336412f37f",
        SubscribeURL="https://sns.ap-northeast-2.amazonaws.com/?Action=ConfirmSubscription",
    )
    yield "sns subscription confirmation", confirmation, UNREADABLE
    yield "sns message is no text", sns({"Records": []}), UNREADABLE


# --- EventBridge


def eventbridge(detail_type, detail, **changes):
    event = {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": detail_type,
        "source": "aws.s3",
        "account": "123456789012",
        "time": "2024-06-09T15:00:01Z",
        "region": "ap-northeast-2",
        "resources": ["arn:aws:s3:::" + BUCKET],
        "detail": detail,
    }
    event.update(changes)
    return compact(event)


def _detail(key, object_fields, **fields):
    detail = {"version": "0", "bucket": {"name": BUCKET}, "object": dict({"key": key}, **object_fields)}
    detail.update({"request-id": "N4N7GDK58NMKJ12R", "requester": "123456789012", "source-ip-address": "10.0.3.17"})
    detail.update(fields)
    return detail


def _created_detail(key, reason="PutObject", version=VERSION, **fields):
    object_fields = {"size": 1024, "etag": ETAG}
    if version is not None:
        object_fields["version-id"] = version
    object_fields["sequencer"] = "617f08299329d189"
    object_fields.update(fields)
    return _detail(key, object_fields, reason=reason)


def eventbridge_bodies():
    def seen(key, version_id=VERSION):
        return objects(announced(key, version_id, sequencer="617f08299329d189"))

    key = "logs/2024/06/09/part-00001.pkl.gz"
    for reason in ("PutObject", "POST Object", "CopyObject", "CompleteMultipartUpload"):
        yield "eventbridge created by " + reason, eventbridge("Object Created", _created_detail(key, reason)), seen(key)
    yield (
        "eventbridge created without version",
        eventbridge("Object Created", _created_detail(key, version=None)),
        seen(key, None),
    )
    with_event_version = dict(_created_detail(key), **{"event-version": "1.0"})
    yield "eventbridge created with event version", eventbridge("Object Created", with_event_version), seen(key)
    for raw in ("%2B%20%%%.pkl.gz", "%2B++ %20.pkl.gz", "logs/dt=2024-06-09/매체 1+2.pkl.gz", "logs%2Fnot a folder"):
        yield "eventbridge raw key " + raw.replace("/", " "), eventbridge("Object Created", _created_detail(raw)), seen(raw)
    escaped = json.dumps(json.loads(eventbridge("Object Created", _created_detail("logs/매체😀.pkl.gz"))), ensure_ascii=True)
    yield "eventbridge key in json escapes", escaped, seen("logs/매체😀.pkl.gz")

    removal = {"sequencer": "617f0837b476e463", "version-id": VERSION}
    deleted = _detail(key, removal, reason="DeleteObject", **{"deletion-type": "Permanently Deleted"})
    yield "eventbridge deleted", eventbridge("Object Deleted", deleted), NOTHING
    marker = _detail(key, dict(removal, etag=ETAG), reason="DeleteObject", **{"deletion-type": "Delete Marker Created"})
    yield "eventbridge delete marker", eventbridge("Object Deleted", marker), NOTHING
    expired = _detail(key, removal, reason="Lifecycle Expiration", **{"deletion-type": "Delete Marker Created"})
    yield "eventbridge lifecycle expiration", eventbridge("Object Deleted", expired), NOTHING
    for detail_type in (
        "Object Restore Initiated", "Object Restore Completed", "Object Restore Expired", "Object Storage Class Changed",
        "Object Access Tier Changed", "Object ACL Updated", "Object Tags Added", "Object Tags Deleted",
    ):  # fmt: skip
        detail = _detail(key, {"etag": ETAG, "version-id": VERSION})
        yield "eventbridge " + detail_type.lower(), eventbridge(detail_type, detail), NOTHING

    other = eventbridge("EC2 Instance State-change Notification", {"state": "running"}, source="aws.ec2")
    yield "eventbridge of another service", other, UNREADABLE
    yield "eventbridge created without object", eventbridge("Object Created", {"bucket": {"name": BUCKET}}), UNREADABLE


# --- what is no notification


def unreadable_bodies():
    record = created("logs/1.pkl.gz")

    def changed(path, value):
        copy = json.loads(json.dumps(record))
        parent = copy
        for part in path[:-1]:
            parent = parent[part]
        if value is None:
            del parent[path[-1]]
        else:
            parent[path[-1]] = value
        return s3(copy)

    yield "empty body", ""
    yield "white space", " \n"
    yield "plain text", "please process logs/1.pkl.gz"
    yield "json cut short", s3(record)[:-5]
    yield "two documents", s3(record) + s3(record)
    yield "a number", "42"
    yield "a text", '"logs/1.pkl.gz"'
    yield "null", "null"
    yield "an empty list", "[]"
    yield "an empty object", "{}"
    yield "unknown object", '{"job": "rebuild", "date": "2024-06-09"}'
    yield "a record on its own", compact(record)
    yield "a list of records", compact([record])
    yield "records is an object", compact({"Records": record})
    yield "records is null", compact({"Records": None})
    yield "records is a text", compact({"Records": "x" * 65536})
    yield "record is null", compact({"Records": [None]})
    yield "record is empty", compact({"Records": [{}]})
    yield "record of another service", s3(dict(record, eventSource="aws:dynamodb"))
    yield "record without event name", changed(["eventName"], None)
    yield "event name is a number", changed(["eventName"], 1)
    yield "record without s3", changed(["s3"], None)
    yield "record without bucket", changed(["s3", "bucket"], None)
    yield "bucket name is empty", changed(["s3", "bucket", "name"], "")
    yield "record without key", changed(["s3", "object", "key"], None)
    yield "key is empty", changed(["s3", "object", "key"], "")
    yield "key is a number", changed(["s3", "object", "key"], 7)
    yield "key is a list", changed(["s3", "object", "key"], ["logs/1.pkl.gz"])
    yield "key is not utf-8", changed(["s3", "object", "key"], "logs/%FF%FE.pkl.gz")
    yield "key is half a surrogate", s3(record).replace("logs/1.pkl.gz", "logs/\\ud800.pkl.gz")
    yield "deep lists", "[" * 10_000 + "]" * 10_000
    yield "deep objects", '{"Records":' * 5_000 + "1" + "}" * 5_000
    yield "deep lists that never close", "[" * 20_000
    yield "a very long number", '{"Records": %s}' % ("9" * 10_000)


def bodies():
    """(name, body, expectation)"""
    yield from s3_bodies()
    yield from s3_several_records()
    for name, body in s3_that_announce_nothing():
        yield name, body, NOTHING
    yield from sns_bodies()
    yield from eventbridge_bodies()
    for name, body in unreadable_bodies():
        yield "unreadable " + name, body, UNREADABLE


def file_name(name):
    """Letters and digits of the name: files that any system can check out."""
    kept = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in name)
    return "-".join(kept.split()).lower()


def files():
    """file name -> its text"""
    made = {}
    for name, body, expect in bodies():
        stem = file_name(name)
        path = stem + ".json"
        number = 2
        while path in made:
            path, number = "%s-%d.json" % (stem, number), number + 1
        fixture = {"name": name, "body": body, "expect": expect}
        made[path] = json.dumps(fixture, ensure_ascii=False, indent=1) + "\n"
    return made


def folder():
    return os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data", "notifications")


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Writes message bodies and what each announces.")
    parser.add_argument("--out", default=folder(), metavar="DIR", help="default: tests/data/notifications")
    options = parser.parse_args(arguments)
    os.makedirs(options.out, exist_ok=True)
    made = files()
    for name in os.listdir(options.out):
        if name.endswith(".json") and name not in made:
            os.remove(os.path.join(options.out, name))
    for name, text in made.items():
        with open(os.path.join(options.out, name), "w", encoding="utf-8") as file:
            file.write(text)
    print("%d bodies in %s" % (len(made), options.out), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
