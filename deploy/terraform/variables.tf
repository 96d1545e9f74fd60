variable "name" {
  description = "Name of everything that is made here, and the prefix where several are made."
  type        = string
  default     = "xc2-analyzer"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 32 characters of a-z, 0-9 and -, and begin with a letter."
  }
}

variable "bucket" {
  description = "Name of the bucket that the ad logs are written to. It exists already."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket must be the name of a bucket, not its ARN or URL."
  }
}

variable "manage_bucket_notification" {
  description = "Whether to set the bucket's notifications. A bucket has one notification configuration, and setting it replaces what is there: with other notifications on the bucket, say false and add this queue to them."
  type        = bool
  default     = true
}

variable "prefix" {
  description = "Only objects whose keys begin with this are announced; also [source] prefix."
  type        = string
  default     = ""

  validation {
    condition     = length(var.prefix) <= 1024 && !startswith(var.prefix, "/")
    error_message = "prefix must not begin with / and has at most 1024 characters."
  }
}

variable "suffix" {
  description = "Only objects whose keys end with this are announced; also [source] suffix."
  type        = string
  default     = ""

  validation {
    condition     = length(var.suffix) <= 1024
    error_message = "suffix has at most 1024 characters."
  }
}

variable "bucket_kms_key_arn" {
  description = "Key that the objects are encrypted with, when the bucket uses SSE-KMS with a key of your own; empty otherwise."
  type        = string
  default     = ""

  validation {
    condition     = var.bucket_kms_key_arn == "" || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/", var.bucket_kms_key_arn))
    error_message = "bucket_kms_key_arn must be the ARN of a key (not of an alias), or empty."
  }
}

variable "visibility_timeout" {
  description = "Seconds that a received message stays hidden at first; [source] visibility, which the daemon extends while it works."
  type        = number
  default     = 120

  validation {
    condition     = var.visibility_timeout >= 30 && var.visibility_timeout <= 43200
    error_message = "visibility_timeout must be between 30 and 43200 seconds."
  }
}

variable "max_receive_count" {
  description = "Receives after which a message goes to the dead-letter queue. More than [source] fetch_attempts_max (4), so that a missing object is listed as failed, with its reason, before its message is given up."
  type        = number
  default     = 10

  validation {
    condition     = var.max_receive_count >= 6 && var.max_receive_count <= 1000
    error_message = "max_receive_count must be between 6 and 1000."
  }
}

variable "retention_days" {
  description = "Days that the queue keeps a message: the longest outage that loses nothing. The dead-letter queue always keeps 14 days, since a message's age counts from its first queue."
  type        = number
  default     = 7

  validation {
    condition     = var.retention_days >= 1 && var.retention_days <= 13
    error_message = "retention_days must be between 1 and 13, below the dead-letter queue's 14."
  }
}

variable "image" {
  description = "Container image, with a tag or a digest, for example 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/xc2-analyzer:1.0.0."
  type        = string

  validation {
    condition     = can(regex("(:[A-Za-z0-9_.-]+|@sha256:[0-9a-f]{64})$", var.image)) && !endswith(var.image, ":latest")
    error_message = "image must end with a tag other than latest, or with a digest: a task that is replaced must run what was deployed."
  }
}

variable "image_repository_arn" {
  description = "ARN of the image's ECR repository, which the execution role may pull from; empty for a public image."
  type        = string
  default     = ""

  validation {
    condition     = var.image_repository_arn == "" || can(regex("^arn:aws[a-z-]*:ecr:[a-z0-9-]+:[0-9]{12}:repository/", var.image_repository_arn))
    error_message = "image_repository_arn must be the ARN of an ECR repository, or empty."
  }
}

variable "cpu" {
  description = "CPU units of one task; 1024 is one virtual CPU."
  type        = number
  default     = 1024

  validation {
    condition     = contains([512, 1024, 2048, 4096, 8192, 16384], var.cpu)
    error_message = "cpu must be 512, 1024, 2048, 4096, 8192 or 16384, as Fargate has them."
  }
}

variable "memory" {
  description = "Memory of one task in MiB."
  type        = number
  default     = 4096

  validation {
    condition     = var.memory >= 1024 && var.memory % 1024 == 0 && var.memory >= 2 * var.cpu && var.memory <= 8 * var.cpu
    error_message = "memory must be a multiple of 1024 MiB, and 2 to 8 times cpu, as Fargate has it."
  }
}

variable "tasks_min" {
  description = "Tasks that run at least. Two in two zones take over from each other at once."
  type        = number
  default     = 1

  validation {
    condition     = var.tasks_min >= 1 && floor(var.tasks_min) == var.tasks_min
    error_message = "tasks_min must be a whole number of at least 1: nobody starts the first task when a backlog appears."
  }
}

variable "tasks_max" {
  description = "Tasks that run at most. The database is the limit: see docs/performance.md."
  type        = number
  default     = 4

  validation {
    condition     = var.tasks_max >= var.tasks_min
    error_message = "tasks_max must be at least tasks_min."
  }
}

variable "backlog_per_task" {
  description = "Waiting messages a task that autoscaling aims at: what one task counts in the time that is acceptable as a delay."
  type        = number
  default     = 200

  validation {
    condition     = var.backlog_per_task > 0
    error_message = "backlog_per_task must be more than 0."
  }
}

variable "subnet_ids" {
  description = "Private subnets of the tasks, with a way to S3, SQS, ECR, CloudWatch Logs, Secrets Manager (endpoints or NAT) and to the database."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 1 && alltrue([for id in var.subnet_ids : startswith(id, "subnet-")])
    error_message = "subnet_ids must name at least one subnet-..."
  }
}

variable "vpc_id" {
  description = "VPC of these subnets."
  type        = string

  validation {
    condition     = startswith(var.vpc_id, "vpc-")
    error_message = "vpc_id must begin with vpc-."
  }
}

variable "database_security_group_id" {
  description = "Security group of the database: the tasks are let in, on database_port."
  type        = string

  validation {
    condition     = startswith(var.database_security_group_id, "sg-")
    error_message = "database_security_group_id must begin with sg-."
  }
}

variable "database_port" {
  description = "Port of the database."
  type        = number
  default     = 3306

  validation {
    condition     = var.database_port >= 1 && var.database_port <= 65535
    error_message = "database_port must be between 1 and 65535."
  }
}

variable "store_url" {
  description = "[store] url without a password: mysql://user@host:3306/database?require_ssl=true"
  type        = string

  validation {
    condition     = can(regex("^mysql://[^:@/]+@[^/]+/[^/?]+", var.store_url))
    error_message = "store_url must be mysql://user@host:port/database without a password: that comes from the secret."
  }
}

variable "store_password_secret_arn" {
  description = "ARN of the Secrets Manager secret that holds the database password as its plain text. For one key of a JSON secret, append :key:: to the ARN."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:", var.store_password_secret_arn))
    error_message = "store_password_secret_arn must be the ARN of a secret in Secrets Manager."
  }
}

variable "secret_kms_key_arn" {
  description = "Key that the secret is encrypted with, when it is one of your own; empty for aws/secretsmanager."
  type        = string
  default     = ""
}

variable "notice_topic_arn" {
  description = "SNS topic that the daemon publishes its completion notices to ([notice]); empty for none."
  type        = string
  default     = ""
}

variable "failed_copies_arn" {
  description = "What the ARNs of copies of failed objects begin with, arn:aws:s3:::bucket/prefix/ ([failed] copy_to); empty for no copies."
  type        = string
  default     = ""

  validation {
    condition     = var.failed_copies_arn == "" || can(regex("^arn:aws[a-z-]*:s3:::[a-z0-9.-]+/.+$", var.failed_copies_arn))
    error_message = "failed_copies_arn must be a bucket's ARN with a prefix, such as arn:aws:s3:::bucket/prefix/."
  }
}

variable "failed_copies_kms_key_arn" {
  description = "Key that the bucket of these copies encrypts with; empty for none of your own."
  type        = string
  default     = ""
}

variable "alarm_topic_arns" {
  description = "SNS topics that alarms are sent to. Empty: the alarms only show in CloudWatch."
  type        = list(string)
  default     = []
}

variable "oldest_message_seconds_max" {
  description = "An alarm when the oldest message waits for longer than this: the reports lag behind."
  type        = number
  default     = 900

  validation {
    condition     = var.oldest_message_seconds_max >= 60
    error_message = "oldest_message_seconds_max must be at least 60."
  }
}

variable "log_retention_days" {
  description = "Days that CloudWatch keeps the daemon's log."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_retention_days)
    error_message = "log_retention_days must be one of CloudWatch's own: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731."
  }
}

variable "tags" {
  description = "Tags of everything that is made here."
  type        = map(string)
  default     = {}
}
