#!/usr/bin/env python3
"""Evaluates the policies of template.yaml against the calls that the programs really make.

  tests/deploy/iam.py            runs integration tests, with local-aws recording what is called
  tests/deploy/iam.py FILE...    judges recordings that there are (local/record.h)

Nothing may be called that its role does not allow, and nothing allowed that is never called, save
what is listed below with a reason. docs/iam.md must say of every statement why it is there.
"""
import fnmatch
import json
import os
import re
import subprocess
import sys
import tempfile
from urllib.parse import parse_qs, unquote

sys.path.insert(0, os.path.dirname(__file__))
import template as t  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TESTS = os.environ.get("TESTS_DIR", "build/tests/integration")
# What is recorded: every pattern with its failures, retries, stops and lost answers.
RECORDED = (
    ("test_workflow", "*"),
    ("test_api", "*"),
    ("test_launcher_events", "*"),
    ("test_launcher_retry", "*"),
    ("test_launcher_sync", "*"),
    ("test_launcher_batch", "*/@(lists|fails|is_stopped|leaves)*"),
    ("test_sweep", "*/each_answer_of_ListTasks*"),
)

# Who calls, by the name that local-aws records, and the role that the same program has in AWS.
ROLES = {
    "launcher": "WorkflowRole",
    "api": "ApiRole",
    "events": "EventsRole",
    "callback-receiver": "ReceiverTaskRole",
}

# Allowed and not seen in a recording, or not by local-aws.
BY_AWS = "called by Lambda or ECS itself, not by a program"
UNSEEN = {
    ("WorkflowRole", "lambda:InvokeFunction"): "checked by AWS when a checkpoint begins a chained invoke",
    ("WorkflowRole", "iam:PassRole"): "checked by AWS within RunTask",
    ("WorkflowRole", "lambda:GetDurableExecutionState"): "for histories of more than one page; tests/unit/durable calls it",
    ("WorkflowRole", "secretsmanager:GetSecretValue"): "local-aws has no secrets; tests/integration/test_receiver_keys calls it",
    ("ApiRole", "secretsmanager:GetSecretValue"): "the same",
    ("EventsRole", "secretsmanager:GetSecretValue"): "the same",
    ("ReceiverTaskRole", "secretsmanager:GetSecretValue"): "the same",
    ("EventsRole", "ecs:DescribeTasks"): "where an event leaves out the overrides, which local-aws's do not",
    ("ReceiverTaskRole", "lambda:SendDurableExecutionCallbackHeartbeat"): "for engineHeartbeatSeconds; tests/integration/test_receiver calls it",
    ("ImagesRole", "lambda:GetFunction"): "by the deployment",
}
AWS_ITSELF = ("logs:", "xray:", "ecr:", "sqs:")
EXECUTION_ROLES = ("JobExecutionRole", "ReceiverExecutionRole")

findings = 0


def finding(text):
    global findings
    findings += 1
    print("iam: " + text)


# ---- policies ------------------------------------------------------------------------------------


def listed(value):
    return value if isinstance(value, list) else [value]


def policies(template, values):
    """role -> statements, resolved"""
    roles = {}
    for name, resource in template["Resources"].items():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        p = resource["Properties"]
        if "ManagedPolicyArns" in p:
            finding(f"{name}: a managed policy allows what nobody here has read")
        roles[name] = [values.value(s) for policy in p.get("Policies", []) for s in policy["PolicyDocument"]["Statement"]]
    return roles


def matches(pattern, text):
    return fnmatch.fnmatchcase(text, re.sub(r"([\[\]])", r"[\1]", pattern))


def conditions_hold(statement, context):
    for operator, tests in statement.get("Condition", {}).items():
        if operator not in ("ArnEquals", "StringEquals"):
            raise SystemExit(f"iam: this test does not know the condition {operator}")
        for key, wanted in tests.items():
            if not any(matches(w, context.get(key, "")) for w in listed(wanted)):
                return False
    return True


def allowing(statements, action, resource, context):
    return [
        s
        for s in statements
        if s["Effect"] == "Allow"
        and any(matches(a.lower(), action.lower()) for a in listed(s["Action"]))
        and any(matches(r, resource) for r in listed(s["Resource"]))
        and conditions_hold(s, context)
    ]


# ---- calls ---------------------------------------------------------------------------------------


def in_aws(arn):
    """The names of local-aws's resources as those of the stack."""
    arn = re.sub(r":function:launcher(?=[:/]|$)", f":function:{t.STACK}-workflow", arn)
    # The tests have a second task definition, which stands for the same.
    return re.sub(r":task-definition/(job|plain)(?=:|$)", f":task-definition/{t.STACK}-job", arn)


def what_is_asked(call):
    """(action, resource, context) of a recorded request, as IAM sees it."""
    operation, path, query = call["operation"], call["path"], parse_qs(call["query"])
    function = f"arn:aws:lambda:{t.REGION}:{t.ACCOUNT}:function:"
    if call["service"] == "ecs":
        body = json.loads(call["body"])
        cluster = body.get("cluster", "default")
        cluster = cluster if cluster.startswith("arn:") else f"arn:aws:ecs:{t.REGION}:{t.ACCOUNT}:cluster/{cluster}"
        context = {"ecs:cluster": cluster}
        if operation == "RunTask":
            definition = body["taskDefinition"]
            if not definition.startswith("arn:"):
                revision = "" if ":" in definition else ":1"
                definition = f"arn:aws:ecs:{t.REGION}:{t.ACCOUNT}:task-definition/{definition}{revision}"
            return [("ecs:RunTask", definition, context)]
        if operation == "ListTasks":
            return [("ecs:ListTasks", "*", context)]
        tasks = [body["task"]] if operation == "StopTask" else body["tasks"]
        full = [a if a.startswith("arn:") else cluster.replace(":cluster/", ":task/") + "/" + a for a in tasks]
        return [("ecs:" + operation, arn, context) for arn in full]
    if operation == "Invoke":
        name = unquote(path.split("/functions/")[1].split("/")[0])
        qualifier = query.get("Qualifier", [None])[0]
        arn = name if name.startswith("arn:") else function + name
        return [("lambda:InvokeFunction", arn + (f":{qualifier}" if qualifier else ""), {})]
    if operation.startswith("SendDurableExecutionCallback"):
        # A callback id names no execution that one could read off it: any of this function's is meant.
        return [("lambda:" + operation, function + "launcher:1/durable-execution/name/id", {})]
    if "/durable-executions/" in path:
        return [("lambda:" + operation, unquote(path.split("/durable-executions/")[1].split("/")[0]), {})]
    return [("lambda:" + operation, function + unquote(path.split("/functions/")[1].split("/")[0]), {})]


def record():
    folder = tempfile.mkdtemp(prefix="deploy-iam-")
    path = os.path.join(folder, "calls")
    for name, which in RECORDED:
        test = os.path.join(TESTS, name)
        if not os.path.exists(test):
            finding(f"{test} is not built: make tests")
            continue
        command = [test, "--jobs", "2", "--filter", which]
        # Twice, for a machine that is busy: whether they pass is asked of them elsewhere.
        for _ in range(2):
            run = subprocess.run(command, env={**os.environ, "LOCAL_AWS_RECORD": path}, capture_output=True, text=True)
            if run.returncode == 0:
                break
        if run.returncode != 0:
            finding(f"{name} failed:\n{(run.stdout + run.stderr)[-2000:]}")
    calls = read(path)
    os.remove(path)
    os.rmdir(folder)
    return calls


def read(path):
    if not os.path.exists(path):
        return []
    with open(path) as f:
        return [json.loads(line) for line in f]


# ---- judging -------------------------------------------------------------------------------------


def judge(roles, calls):
    seen, denied, count = set(), set(), 0
    for call in calls:
        role = ROLES.get(call["caller"])
        if not role:
            continue  # a test asks by itself
        for action, resource, context in what_is_asked(call):
            count += 1
            resource = in_aws(resource)
            statements = allowing(roles[role], action, resource, context)
            seen.update((role, id(s), action) for s in statements)
            if not statements and (role, action) not in denied:
                denied.add((role, action))
                finding(f"{call['caller']} calls {action} on {resource}: {role} does not allow it")
    for role, statements in roles.items():
        for s in statements:
            for action in listed(s["Action"]):
                if (role, id(s), action) in seen:
                    if (role, action) in UNSEEN:
                        finding(f"{role}: {action} is called, so it needs no excuse in {__file__}")
                elif (role, action) not in UNSEEN and not action.startswith(AWS_ITSELF) and role not in EXECUTION_ROLES:
                    finding(f"{role}: {action} ({s['Sid']}) is allowed and never called")
    return count


def judge_by_hand(roles):
    """What must never be allowed, whoever asks."""
    callback = f"arn:aws:lambda:{t.REGION}:{t.ACCOUNT}:function:{t.STACK}-workflow:7/durable-execution/n/i"
    for role, statements in roles.items():
        for what in ("Success", "Failure", "Heartbeat"):
            allowed = allowing(statements, "lambda:SendDurableExecutionCallback" + what, callback, {})
            if bool(allowed) != (role == "ReceiverTaskRole"):
                finding(f"{role}: callbacks are {'allowed' if allowed else 'not allowed'}")
        for s in statements:
            if any("*" in action for action in listed(s["Action"])):
                finding(f"{role}: {s['Sid']} allows a pattern of actions")
            if "*" in listed(s["Resource"]) and s["Sid"] not in ("Trace", "ImageLogin", "FindTasks"):
                finding(f"{role}: {s['Sid']} allows every resource")
            if any("DurableExecutions" in a and "List" not in a for a in listed(s["Action"])):
                finding(f"{role}: {s['Sid']} misspells an action: they are in the singular")
    if roles["JobTaskRole"] or roles["ImageRole"]:
        finding("JobTaskRole and ImageRole allow nothing")
    other = callback.replace(f"{t.STACK}-workflow", "another")
    for role in ("WorkflowRole", "ApiRole", "EventsRole", "ReceiverTaskRole"):
        for action in ("CheckpointDurableExecution", "StopDurableExecution", "SendDurableExecutionCallbackSuccess"):
            if allowing(roles[role], "lambda:" + action, other, {}):
                finding(f"{role}: reaches executions of other functions")
    elsewhere = {"ecs:cluster": f"arn:aws:ecs:{t.REGION}:{t.ACCOUNT}:cluster/another"}
    job = f"arn:aws:ecs:{t.REGION}:{t.ACCOUNT}:task-definition/{t.STACK}-job:1"
    if allowing(roles["WorkflowRole"], "ecs:RunTask", job, elsewhere):
        finding("WorkflowRole: runs tasks on any cluster")


def judge_docs(roles):
    with open("docs/iam.md") as f:
        rows = set(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", f.read(), re.M))
    there = {(role, s["Sid"]) for role, statements in roles.items() for s in statements}
    for role, sid in sorted(there - rows):
        finding(f"docs/iam.md does not say why {role} has {sid}")
    for role, sid in sorted(rows - there):
        finding(f"docs/iam.md speaks of {sid} of {role}, which is not there")


def main():
    os.chdir(ROOT)
    template = t.load("template.yaml")
    roles = policies(template, t.Values(template))
    calls = [call for path in sys.argv[1:] for call in read(path)] if sys.argv[1:] else record()
    count = judge(roles, calls)
    if not count:
        finding("nothing was recorded")
    judge_by_hand(roles)
    judge_docs(roles)
    print(f"{'FAIL ' if findings else 'ok   '} deploy: policies, judged by {count} recorded calls")
    sys.exit(1 if findings else 0)


main()
