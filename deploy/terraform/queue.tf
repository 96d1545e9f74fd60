# The bucket announces each object on a queue; what is received too often goes to the dead-letter queue.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
  # The provider's version 6 calls it `region`, version 5 `name`; both know `id`.
  region     = data.aws_region.current.id
  bucket_arn = "arn:${data.aws_partition.current.partition}:s3:::${var.bucket}"
  day        = 24 * 60 * 60
}

resource "aws_sqs_queue" "logs" {
  name                       = var.name
  message_retention_seconds  = var.retention_days * local.day
  visibility_timeout_seconds = var.visibility_timeout
  receive_wait_time_seconds  = 20
  # S3 can't send to a queue that is encrypted with the AWS managed key of SQS; SQS's own encryption needs no key policy.
  sqs_managed_sse_enabled = true
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = var.max_receive_count
  })
  tags = var.tags
}

resource "aws_sqs_queue" "dead_letters" {
  name = "${var.name}-dead-letters"
  # The longest that there is: a message keeps the time of its first queue, so its days there are already gone.
  message_retention_seconds = 14 * local.day
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

resource "aws_sqs_queue_redrive_allow_policy" "dead_letters" {
  queue_url = aws_sqs_queue.dead_letters.id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.logs.arn]
  })
}

# Only this bucket, and only while this account owns it: a name that was given up can be taken by somebody else.
data "aws_iam_policy_document" "queue" {
  statement {
    sid       = "AnnounceObjects"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.logs.arn]

    principals {
      type        = "Service"
      identifiers = ["s3.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [local.bucket_arn]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }

  statement {
    sid       = "RefusePlainText"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [aws_sqs_queue.logs.arn]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_sqs_queue_policy" "logs" {
  queue_url = aws_sqs_queue.logs.id
  policy    = data.aws_iam_policy_document.queue.json
}

resource "aws_s3_bucket_notification" "logs" {
  count  = var.manage_bucket_notification ? 1 : 0
  bucket = var.bucket

  queue {
    id            = var.name
    queue_arn     = aws_sqs_queue.logs.arn
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = var.prefix
    filter_suffix = var.suffix
  }

  # S3 sends a test message when it is set, and refuses a queue that refuses that.
  depends_on = [aws_sqs_queue_policy.logs]
}
