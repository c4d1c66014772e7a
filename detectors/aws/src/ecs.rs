//! Amazon ECS: a task's container, described by the task metadata endpoint.

use serde_json::Value as Json;
use telemark_sdk::config::Env;
use telemark_sdk::time::Deadline;

use crate::{Found, service, text};

/// The variable with the URL of the task metadata endpoint, which every task has.
pub(crate) const ENDPOINT: &str = "ECS_CONTAINER_METADATA_URI_V4";

/// spec: semconv resource/cloud-provider/aws/ecs.md, logs.md
pub(crate) fn detect(env: &Env, url: &str, deadline: Deadline) -> Option<Found> {
    let (service, path) = service(env, ENDPOINT, url)?;
    let document = |path: &str| serde_json::from_str(service.get(path, &[], deadline)?.text()).ok();
    let container: Json = document(path)?;
    let task: Json = document(&format!("{path}/task")).unwrap_or_default();
    let task_arn = text(&task, "TaskARN");
    let container_arn = text(&container, "ContainerARN");
    if task_arn.is_none() && container_arn.is_none() {
        return None;
    }
    let arn = task_arn.as_deref().or(container_arn.as_deref()).and_then(Arn::parse);
    let mut found = Found::on("aws_ecs");
    found.add("cloud.account.id", arn.as_ref().map(|arn| arn.account.to_owned()));
    found.add("cloud.region", arn.as_ref().map(|arn| arn.region.to_owned()));
    found.add("cloud.availability_zone", text(&task, "AvailabilityZone"));
    found.add("cloud.resource_id", container_arn.clone());
    found.add("container.id", text(&container, "DockerId"));
    found.add("container.name", text(&container, "DockerName"));
    found.add("aws.ecs.container.arn", container_arn.clone());
    found.add("aws.ecs.cluster.arn", cluster(&task, arn.as_ref()));
    found.add("aws.ecs.launchtype", text(&task, "LaunchType").map(|kind| kind.to_ascii_lowercase()));
    found.add("aws.ecs.task.id", task_arn.as_deref().and_then(|arn| Some(arn.rsplit_once('/')?.1.to_owned())));
    found.add("aws.ecs.task.arn", task_arn.clone());
    found.add("aws.ecs.task.family", text(&task, "Family"));
    found.add("aws.ecs.task.revision", text(&task, "Revision"));
    logs(&container, arn.as_ref(), &mut found);
    Some(found)
}

/// Adds where the container's output goes, if it goes to CloudWatch.
fn logs(container: &Json, arn: Option<&Arn<'_>>, found: &mut Found) {
    if text(container, "LogDriver").as_deref() != Some("awslogs") {
        return;
    }
    let options = container.get("LogOptions").unwrap_or(&Json::Null);
    let (group, stream) = (text(options, "awslogs-group"), text(options, "awslogs-stream"));
    if let (Some(group), Some(arn)) = (&group, arn) {
        let region = text(options, "awslogs-region").unwrap_or_else(|| arn.region.to_owned());
        let group = format!("arn:{}:logs:{region}:{}:log-group:{group}", arn.partition, arn.account);
        found.add_list("aws.log.stream.arns", stream.as_ref().map(|stream| format!("{group}:log-stream:{stream}")));
        found.add_list("aws.log.group.arns", Some(group));
    }
    found.add_list("aws.log.group.names", group);
    found.add_list("aws.log.stream.names", stream);
}

/// Returns the ARN of the cluster, for which some versions of the endpoint send the short name.
fn cluster(task: &Json, arn: Option<&Arn<'_>>) -> Option<String> {
    let cluster = text(task, "Cluster")?;
    if cluster.starts_with("arn:") {
        return Some(cluster);
    }
    let arn = arn?;
    Some(format!("arn:{}:ecs:{}:{}:cluster/{cluster}", arn.partition, arn.region, arn.account))
}

/// The parts of `arn:partition:service:region:account:resource`.
struct Arn<'t> {
    partition: &'t str,
    region: &'t str,
    account: &'t str,
}

impl<'t> Arn<'t> {
    fn parse(text: &'t str) -> Option<Self> {
        let parts: Vec<_> = text.splitn(6, ':').collect();
        match parts[..] {
            ["arn", partition, _, region, account, _] => Some(Arn { partition, region, account }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::check;
    use telemark_metadata::testing::{Reply, Server};

    const CONTAINER: &str = r#"{
        "DockerId": "abc-1", "DockerName": "ecs-shop-1", "LogDriver": "awslogs",
        "LogOptions": { "awslogs-group": "/ecs/shop", "awslogs-region": "eu-north-1", "awslogs-stream": "ecs/shop/1" },
        "ContainerARN": "arn:aws:ecs:eu-north-1:111122223333:container/main/7/8"
    }"#;
    const TASK: &str = r#"{
        "Cluster": "main", "TaskARN": "arn:aws:ecs:eu-north-1:111122223333:task/main/158d1c8083dd",
        "Family": "shop", "Revision": "5", "AvailabilityZone": "eu-north-1a", "LaunchType": "FARGATE"
    }"#;

    fn check_served(container: &'static str, task: &'static str, expected: &str) {
        let server = Server::start(move |request| match request {
            "GET /v4/1" => Reply::text(container),
            "GET /v4/1/task" if !task.is_empty() => Reply::text(task),
            _ => Reply::not_found(),
        });
        let url = format!("http://{}/v4/1", server.address());
        check(&[("ECS_CONTAINER_METADATA_URI_V4", &url), ("AWS_EC2_METADATA_DISABLED", "true")], expected);
    }

    #[test]
    fn a_task_on_fargate() {
        check_served(
            CONTAINER,
            TASK,
            "aws.ecs.cluster.arn=arn:aws:ecs:eu-north-1:111122223333:cluster/main \
             aws.ecs.container.arn=arn:aws:ecs:eu-north-1:111122223333:container/main/7/8 aws.ecs.launchtype=fargate \
             aws.ecs.task.arn=arn:aws:ecs:eu-north-1:111122223333:task/main/158d1c8083dd aws.ecs.task.family=shop \
             aws.ecs.task.id=158d1c8083dd aws.ecs.task.revision=5 \
             aws.log.group.arns=[\"arn:aws:logs:eu-north-1:111122223333:log-group:/ecs/shop\"] \
             aws.log.group.names=[\"/ecs/shop\"] \
             aws.log.stream.arns=[\"arn:aws:logs:eu-north-1:111122223333:log-group:/ecs/shop:log-stream:ecs/shop/1\"] \
             aws.log.stream.names=[\"ecs/shop/1\"] cloud.account.id=111122223333 cloud.availability_zone=eu-north-1a \
             cloud.platform=aws_ecs cloud.provider=aws cloud.region=eu-north-1 \
             cloud.resource_id=arn:aws:ecs:eu-north-1:111122223333:container/main/7/8 container.id=abc-1 \
             container.name=ecs-shop-1",
        );
    }

    #[test]
    fn what_is_missing_is_left_out() {
        let container = r#"{ "ContainerARN": "arn:aws-cn:ecs:cn-north-1:1:container/7", "LogDriver": "json-file" }"#;
        check_served(
            container,
            "",
            "aws.ecs.container.arn=arn:aws-cn:ecs:cn-north-1:1:container/7 cloud.account.id=1 cloud.platform=aws_ecs \
             cloud.provider=aws cloud.region=cn-north-1 cloud.resource_id=arn:aws-cn:ecs:cn-north-1:1:container/7",
        );
        let no_arn = r#"{ "ContainerARN": "x", "LogDriver": "awslogs", "LogOptions": { "awslogs-group": "g" } }"#;
        check_served(
            no_arn,
            r#"{ "Cluster": "main" }"#,
            "aws.ecs.container.arn=x aws.log.group.names=[\"g\"] cloud.platform=aws_ecs cloud.provider=aws cloud.resource_id=x",
        );
    }
}
