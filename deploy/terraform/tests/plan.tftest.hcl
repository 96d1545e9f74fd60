# `terraform init && terraform test`: everything is computed, nothing is made, and no credentials are needed.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { id = "ap-northeast-2" }
  }
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
  mock_resource "aws_sqs_queue" {
    defaults = {
      arn = "arn:aws:sqs:ap-northeast-2:123456789012:ad-logs"
      url = "https://sqs.ap-northeast-2.amazonaws.com/123456789012/ad-logs"
    }
  }
}

variables {
  name                       = "ad-logs"
  bucket                     = "ssp-ad-logs"
  prefix                     = "logs/"
  image                      = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/xc2-analyzer:1.0.0"
  image_repository_arn       = "arn:aws:ecr:ap-northeast-2:123456789012:repository/xc2-analyzer"
  vpc_id                     = "vpc-1"
  subnet_ids                 = ["subnet-1", "subnet-2"]
  database_security_group_id = "sg-1"
  store_url                  = "mysql://xc2@db.internal:3306/xc2?require_ssl=true"
  store_password_secret_arn  = "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:xc2-AbCdEf:password::"
}

run "everything" {
  command = apply

  assert {
    condition     = aws_sqs_queue.dead_letters.message_retention_seconds > aws_sqs_queue.logs.message_retention_seconds
    error_message = "A message keeps its first queue's time: the dead-letter queue must keep longer."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.logs.redrive_policy).maxReceiveCount == 10
    error_message = "The queue gives up after max_receive_count."
  }

  assert {
    condition     = aws_s3_bucket_notification.logs[0].queue[0].filter_prefix == "logs/"
    error_message = "Only the prefix is announced."
  }

  assert {
    condition = data.aws_iam_policy_document.queue.statement[0].condition == toset([
      { test = "ArnEquals", variable = "aws:SourceArn", values = tolist(["arn:aws:s3:::ssp-ad-logs"]) },
      { test = "StringEquals", variable = "aws:SourceAccount", values = tolist(["123456789012"]) },
    ])
    error_message = "Only this bucket of this account may send."
  }

  assert {
    condition     = contains(flatten(data.aws_iam_policy_document.task.statement[*].resources), "arn:aws:s3:::ssp-ad-logs/logs/*")
    error_message = "The task reads the prefix and nothing else."
  }

  assert {
    condition     = !contains(flatten(data.aws_iam_policy_document.task.statement[*].resources), "*")
    error_message = "No permission of the task is for everything."
  }

  assert {
    condition     = local.secret_arn == "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:xc2-AbCdEf"
    error_message = "The execution role reads the secret, whichever key of it is used."
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.daemon.container_definitions)[0].image == var.image
    error_message = "The task definition's placeholders are filled in."
  }

  assert {
    condition     = length(regexall("[$][{]", aws_ecs_task_definition.daemon.container_definitions)) == 0
    error_message = "A placeholder of the task definition is left."
  }

  assert {
    condition = contains(jsondecode(aws_ecs_task_definition.daemon.container_definitions)[0].environment, {
      name = "XC2__SOURCE__URL", value = "https://sqs.ap-northeast-2.amazonaws.com/123456789012/ad-logs"
    })
    error_message = "The daemon reads the queue that is made here."
  }

  assert {
    condition     = strcontains(output.config_toml, "prefix = \"logs/\"")
    error_message = "The lines of config.toml say the prefix."
  }
}

run "nothing_of_others_is_touched_when_it_is_not_wanted" {
  command = plan

  variables {
    manage_bucket_notification = false
    image_repository_arn       = ""
  }

  assert {
    condition     = length(aws_s3_bucket_notification.logs) == 0
    error_message = "The bucket's notifications belong to somebody else."
  }
}

run "mistakes_are_refused" {
  command = plan

  variables {
    bucket                    = "s3://ssp-ad-logs"
    image                     = "xc2-analyzer:latest"
    retention_days            = 14
    max_receive_count         = 3
    memory                    = 512
    tasks_min                 = 0
    store_url                 = "mysql://xc2:secret@db.internal/xc2"
    store_password_secret_arn = "password"
    visibility_timeout        = 1
  }

  expect_failures = [
    var.bucket,
    var.image,
    var.retention_days,
    var.max_receive_count,
    var.memory,
    var.tasks_min,
    var.store_url,
    var.store_password_secret_arn,
    var.visibility_timeout,
  ]
}
