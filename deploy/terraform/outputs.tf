output "queue_url" {
  description = "URL of the queue that the bucket announces its objects on."
  value       = aws_sqs_queue.logs.url
}

output "dead_letter_queue_url" {
  description = "URL of the queue of messages that were received too often."
  value       = aws_sqs_queue.dead_letters.url
}

output "queue_arn" {
  description = "ARN of the queue, for a bucket notification that is managed elsewhere."
  value       = aws_sqs_queue.logs.arn
}

output "task_role_arn" {
  description = "ARN of the daemon's role."
  value       = aws_iam_role.task.arn
}

output "security_group_id" {
  description = "Security group of the tasks, for Prometheus to be let in on port 9464."
  value       = aws_security_group.daemon.id
}

output "cluster" {
  description = "Name of the cluster and of its service."
  value       = aws_ecs_cluster.this.name
}

output "config_toml" {
  description = "The lines of config.toml that make a daemon elsewhere, or `xc2-analyzer check` on your own machine, use the same queue and database."
  value       = <<-TOML
    [source]
    url = "${aws_sqs_queue.logs.url}"
    prefix = ${jsonencode(var.prefix)}
    suffix = ${jsonencode(var.suffix)}
    visibility = "${var.visibility_timeout}s"

    [store]
    url = ${jsonencode(var.store_url)}
  TOML
}
