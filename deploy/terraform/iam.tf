# Two roles: the task's own, and the one that starts it. tests/end_to_end/deployment.rs compares the first with the calls
# that the code makes.

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${data.aws_partition.current.partition}:ecs:${local.region}:${local.account}:*"]
    }
  }
}

resource "aws_iam_role" "task" {
  name               = var.name
  description        = "What the xc2-analyzer daemon may do."
  assume_role_policy = data.aws_iam_policy_document.assume.json
  tags               = var.tags
}

data "aws_iam_policy_document" "task" {
  statement {
    sid = "Queue"
    actions = [
      "sqs:ChangeMessageVisibility",
      "sqs:DeleteMessage",
      "sqs:GetQueueAttributes",
      "sqs:GetQueueUrl",
      "sqs:ReceiveMessage",
    ]
    resources = [aws_sqs_queue.logs.arn]
  }

  # `check` compares its retention with the queue's.
  statement {
    sid       = "DeadLetters"
    actions   = ["sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
    resources = [aws_sqs_queue.dead_letters.arn]
  }

  statement {
    sid       = "Objects"
    actions   = ["s3:GetObject", "s3:GetObjectVersion"]
    resources = ["${local.bucket_arn}/${var.prefix}*"]
  }

  # For `backfill`; and without it S3 answers 403 for an object that is missing, instead of 404.
  statement {
    sid       = "Bucket"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket_arn]
  }

  # `check` verifies that the bucket announces its objects on the queue.
  statement {
    sid       = "BucketSettings"
    actions   = ["s3:GetBucketNotification"]
    resources = [local.bucket_arn]
  }

  dynamic "statement" {
    for_each = var.bucket_kms_key_arn == "" ? [] : [var.bucket_kms_key_arn]

    content {
      sid       = "EncryptedObjects"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["s3.${local.region}.amazonaws.com"]
      }
    }
  }

  dynamic "statement" {
    for_each = var.notice_topic_arn == "" ? [] : [var.notice_topic_arn]

    content {
      sid       = "Notices"
      actions   = ["sns:Publish"]
      resources = [statement.value]
    }
  }

  # `[failed] copy_to`.
  dynamic "statement" {
    for_each = var.failed_copies_arn == "" ? [] : [var.failed_copies_arn]

    content {
      sid       = "Copies"
      actions   = ["s3:PutObject"]
      resources = ["${statement.value}*"]
    }
  }

  dynamic "statement" {
    for_each = var.failed_copies_kms_key_arn == "" ? [] : [var.failed_copies_kms_key_arn]

    content {
      sid       = "EncryptedCopies"
      actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
      resources = [statement.value]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["s3.${local.region}.amazonaws.com"]
      }
    }
  }

  # The container agent asks in the name of the task: see src/supervisor/ecs.rs.
  statement {
    sid       = "ScaleInProtection"
    actions   = ["ecs:GetTaskProtection", "ecs:UpdateTaskProtection"]
    resources = ["arn:${data.aws_partition.current.partition}:ecs:${local.region}:${local.account}:task/${var.name}/*"]
  }
}

resource "aws_iam_role_policy" "task" {
  name   = "daemon"
  role   = aws_iam_role.task.id
  policy = data.aws_iam_policy_document.task.json
}

resource "aws_iam_role" "execution" {
  name               = "${var.name}-execution"
  description        = "What ECS may do to start the xc2-analyzer daemon."
  assume_role_policy = data.aws_iam_policy_document.assume.json
  tags               = var.tags
}

locals {
  # A key of a JSON secret is appended to its ARN, which is the first seven parts.
  secret_arn = join(":", slice(split(":", var.store_password_secret_arn), 0, 7))
}

data "aws_iam_policy_document" "execution" {
  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.daemon.arn}:*"]
  }

  statement {
    sid       = "Secret"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [local.secret_arn]
  }

  dynamic "statement" {
    for_each = var.secret_kms_key_arn == "" ? [] : [var.secret_kms_key_arn]

    content {
      sid       = "EncryptedSecret"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = var.image_repository_arn == "" ? [] : [var.image_repository_arn]

    content {
      sid       = "Image"
      actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      resources = [statement.value]
    }
  }

  # It knows no resource.
  dynamic "statement" {
    for_each = var.image_repository_arn == "" ? [] : [var.image_repository_arn]

    content {
      sid       = "Registry"
      actions   = ["ecr:GetAuthorizationToken"]
      resources = ["*"]
    }
  }
}

resource "aws_iam_role_policy" "execution" {
  name   = "start"
  role   = aws_iam_role.execution.id
  policy = data.aws_iam_policy_document.execution.json
}
