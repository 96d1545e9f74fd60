# The daemon on Fargate: as many tasks as the backlog asks for.

resource "aws_cloudwatch_log_group" "daemon" {
  name              = "/ecs/${var.name}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

resource "aws_ecs_cluster" "this" {
  name = var.name

  # RunningTaskCount, which autoscaling and an alarm read, is one of its metrics.
  setting {
    name  = "containerInsights"
    value = "enabled"
  }

  tags = var.tags
}

locals {
  # The same file that `aws ecs register-task-definition` takes, see ../README.md.
  task_definition = jsondecode(templatefile("${path.module}/../ecs/task-definition.json", {
    name                      = var.name
    cpu                       = var.cpu
    memory                    = var.memory
    image                     = var.image
    region                    = local.region
    queue_url                 = aws_sqs_queue.logs.url
    store_url                 = var.store_url
    store_password_secret_arn = var.store_password_secret_arn
    log_group                 = aws_cloudwatch_log_group.daemon.name
    execution_role_arn        = aws_iam_role.execution.arn
    task_role_arn             = aws_iam_role.task.arn
  }))

  # Beside those of the file. The queue's own settings are the daemon's: they must not differ.
  environment = {
    XC2__SOURCE__PREFIX     = var.prefix
    XC2__SOURCE__SUFFIX     = var.suffix
    XC2__SOURCE__VISIBILITY = "${var.visibility_timeout}s"
  }

  containers = [for container in local.task_definition.containerDefinitions : merge(container, {
    environment = concat(container.environment, [for name, value in local.environment : { name = name, value = value }])
  })]
}

resource "aws_ecs_task_definition" "daemon" {
  family                   = local.task_definition.family
  requires_compatibilities = local.task_definition.requiresCompatibilities
  network_mode             = local.task_definition.networkMode
  cpu                      = local.task_definition.cpu
  memory                   = local.task_definition.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn
  container_definitions    = jsonencode(local.containers)
  tags                     = var.tags

  runtime_platform {
    operating_system_family = local.task_definition.runtimePlatform.operatingSystemFamily
    cpu_architecture        = local.task_definition.runtimePlatform.cpuArchitecture
  }
}

resource "aws_security_group" "daemon" {
  name        = var.name
  description = "xc2-analyzer tasks: out to AWS and to the database, nothing in."
  vpc_id      = var.vpc_id
  tags        = var.tags
}

resource "aws_vpc_security_group_egress_rule" "aws" {
  security_group_id = aws_security_group.daemon.id
  description       = "S3, SQS, ECR, CloudWatch Logs, Secrets Manager, alerts and notices: all by HTTPS"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
  tags              = var.tags
}

resource "aws_vpc_security_group_egress_rule" "database" {
  security_group_id            = aws_security_group.daemon.id
  description                  = "The reports' database"
  ip_protocol                  = "tcp"
  from_port                    = var.database_port
  to_port                      = var.database_port
  referenced_security_group_id = var.database_security_group_id
  tags                         = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  security_group_id            = var.database_security_group_id
  description                  = "xc2-analyzer tasks"
  ip_protocol                  = "tcp"
  from_port                    = var.database_port
  to_port                      = var.database_port
  referenced_security_group_id = aws_security_group.daemon.id
  tags                         = var.tags
}

resource "aws_ecs_service" "daemon" {
  name            = var.name
  cluster         = aws_ecs_cluster.this.id
  task_definition = aws_ecs_task_definition.daemon.arn
  desired_count   = var.tasks_min
  launch_type     = "FARGATE"

  # Old and new tasks may run side by side: the ledger counts each object once, whoever reads it.
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200

  # A wrong configuration ends at once (exit code 78): back to the last one that ran.
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.daemon.id]
    assign_public_ip = false
  }

  enable_ecs_managed_tags = true
  propagate_tags          = "SERVICE"
  tags                    = var.tags

  lifecycle {
    ignore_changes = [desired_count] # autoscaling's
  }

  depends_on = [aws_iam_role_policy.task, aws_iam_role_policy.execution]
}
