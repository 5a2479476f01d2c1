"""boto3's ECS client, unmodified, against local-aws: boto3_ecs.py URL."""
import sys
import time
import uuid

try:
    import boto3
    from botocore.config import Config
except ImportError:
    print("skipped: boto3 is not installed")
    sys.exit(0)

ecs = boto3.client(
    "ecs", region_name="us-east-1", endpoint_url=sys.argv[1], aws_access_key_id="test",
    aws_secret_access_key="test", config=Config(retries={"max_attempts": 1}))


def wait(arn, status):
    for _ in range(500):
        task = ecs.describe_tasks(cluster="local", tasks=[arn])["tasks"][0]
        if task["lastStatus"] == status:
            return task
        time.sleep(0.02)
    raise AssertionError(f"{arn} is {task['lastStatus']}, not {status}")


def run(script, **more):
    answer = ecs.run_task(
        cluster="local", taskDefinition="job", launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
        overrides={"containerOverrides": [{
            "name": "job", "command": ["/bin/sh", "-c", script],
            "environment": [{"name": "WORD", "value": "x"}]}]}, **more)
    assert answer["failures"] == [], answer
    return answer["tasks"][0]["taskArn"]


arn = run('[ "$WORD" = x ] && exit 4', startedBy="boto3/1", tags=[{"key": "k", "value": "v"}])
task = wait(arn, "STOPPED")
assert task["containers"][0]["exitCode"] == 4, task
assert task["stopCode"] == "EssentialContainerExited", task
assert task["createdAt"] <= task["startedAt"] <= task["stoppedAt"], task
assert "tags" not in task
tagged = ecs.describe_tasks(cluster="local", tasks=[arn], include=["TAGS"])["tasks"][0]
assert tagged["tags"] == [{"key": "k", "value": "v"}], tagged

token = str(uuid.uuid4())
first = run("sleep 60", startedBy="boto3/2", clientToken=token)
assert run("sleep 60", startedBy="boto3/2", clientToken=token) == first
try:
    run("sleep 61", startedBy="boto3/2", clientToken=token)
    raise AssertionError("no ConflictException")
except ecs.exceptions.ConflictException as e:
    assert e.response["resourceIds"] == [first], e.response
wait(first, "RUNNING")
pages = ecs.get_paginator("list_tasks").paginate(
    cluster="local", startedBy="boto3/2", PaginationConfig={"PageSize": 1})
assert [a for page in pages for a in page["taskArns"]] == [first]
stopped = ecs.stop_task(cluster="local", task=first, reason="enough")["task"]
assert stopped["desiredStatus"] == "STOPPED", stopped
task = wait(first, "STOPPED")
assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "enough"), task
assert task["containers"][0]["exitCode"] == 143, task

for call, error in (
        (lambda: ecs.run_task(cluster="no", taskDefinition="job"), "ClusterNotFoundException"),
        (lambda: ecs.run_task(cluster="local", taskDefinition="no"), "ClientException"),
        (lambda: ecs.stop_task(cluster="local", task="no"), "InvalidParameterException")):
    try:
        call()
        raise AssertionError("no " + error)
    except ecs.exceptions.ClientError as e:
        assert e.response["Error"]["Code"] == error, e.response
missing = ecs.describe_tasks(cluster="local", tasks=["0" * 32])
assert missing["failures"][0]["reason"] == "MISSING", missing
print("boto3", boto3.__version__, "agrees")
