//! AWS Lambda: a function, described by its variables.

use opentelemetry::Value;
use telemark_sdk::config::Env;

use crate::Found;

/// spec: semconv resource/faas.md, faas/aws-lambda.md
pub(crate) fn detect(env: &Env) -> Option<Found> {
    let name = env.string("AWS_LAMBDA_FUNCTION_NAME")?;
    let mut found = Found::on("aws_lambda");
    found.add("cloud.region", env.string("AWS_REGION"));
    found.add("faas.name", Some(name));
    found.add("faas.version", env.string("AWS_LAMBDA_FUNCTION_VERSION"));
    let stream = env.string("AWS_LAMBDA_LOG_STREAM_NAME");
    found.add("faas.instance", stream.clone());
    let mebibytes = env.string("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").and_then(|size| size.parse::<i64>().ok());
    found.add("faas.max_memory", mebibytes.and_then(|size| size.checked_mul(1024 * 1024)).map(Value::I64));
    found.add_list("aws.log.group.names", env.string("AWS_LAMBDA_LOG_GROUP_NAME"));
    found.add_list("aws.log.stream.names", stream);
    Some(found)
}

#[cfg(test)]
mod tests {
    use crate::tests::check;

    #[test]
    fn a_function() {
        check(
            &[
                ("AWS_LAMBDA_FUNCTION_NAME", "orders"),
                ("AWS_REGION", "eu-north-1"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
                ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/orders"),
                ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/30/[$LATEST]abc"),
            ],
            "aws.log.group.names=[\"/aws/lambda/orders\"] aws.log.stream.names=[\"2026/11/30/[$LATEST]abc\"] \
             cloud.platform=aws_lambda cloud.provider=aws cloud.region=eu-north-1 faas.instance=2026/11/30/[$LATEST]abc \
             faas.max_memory=134217728 faas.name=orders faas.version=$LATEST",
        );
        let odd = [("AWS_LAMBDA_FUNCTION_NAME", "orders"), ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "9223372036854775807")];
        check(&odd, "cloud.platform=aws_lambda cloud.provider=aws faas.name=orders");
    }
}
