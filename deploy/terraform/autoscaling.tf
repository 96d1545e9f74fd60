# As many tasks as keep the backlog of each at backlog_per_task. A task with work in flight protects itself from being
# the one that goes (src/supervisor/ecs.rs).

resource "aws_appautoscaling_target" "tasks" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${aws_ecs_service.daemon.name}"
  min_capacity       = var.tasks_min
  max_capacity       = var.tasks_max
  tags               = var.tags
}

resource "aws_appautoscaling_policy" "backlog" {
  name               = "${var.name}-backlog-per-task"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.tasks.service_namespace
  scalable_dimension = aws_appautoscaling_target.tasks.scalable_dimension
  resource_id        = aws_appautoscaling_target.tasks.resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = var.backlog_per_task
    scale_out_cooldown = 60
    # Slower than out: hours of ad logs come in waves.
    scale_in_cooldown = 300

    customized_metric_specification {
      metrics {
        id          = "backlog"
        label       = "Messages that wait"
        return_data = false

        metric_stat {
          stat = "Average"

          metric {
            namespace   = "AWS/SQS"
            metric_name = "ApproximateNumberOfMessagesVisible"

            dimensions {
              name  = "QueueName"
              value = aws_sqs_queue.logs.name
            }
          }
        }
      }

      metrics {
        id          = "running"
        label       = "Tasks that run"
        return_data = false

        metric_stat {
          stat = "Average"

          metric {
            namespace   = "ECS/ContainerInsights"
            metric_name = "RunningTaskCount"

            dimensions {
              name  = "ClusterName"
              value = aws_ecs_cluster.this.name
            }

            dimensions {
              name  = "ServiceName"
              value = aws_ecs_service.daemon.name
            }
          }
        }
      }

      metrics {
        id    = "backlog_per_task"
        label = "Backlog per task"
        # A service whose tasks have all gone still has its backlog.
        expression  = "backlog / IF(running < 1, 1, running)"
        return_data = true
      }
    }
  }
}
