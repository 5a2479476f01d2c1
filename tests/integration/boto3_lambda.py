"""boto3, unmodified, against local-aws's Lambda.

    boto3_lambda.py check URL     the client: every call once, with default settings; exit status 1
                                  and a line for each thing that is not as it should be
    boto3_lambda.py function      the function: a Runtime API loop that checkpoints with boto3

test_local_lambda.c starts local-aws with `function` as the durable function "f" (alias "live",
version 1) and as the plain function "p", and runs `check`.
"""

import datetime
import http.client
import json
import os
import sys
import time

import boto3
import botocore.exceptions


# ---- the function ------------------------------------------------------------------------------


class Execution:
    """One invocation of a durable function."""

    def __init__(self, client, event):
        self.client = client
        self.arn = event["DurableExecutionArn"]
        self.token = event["CheckpointToken"]
        state = event["InitialExecutionState"]
        operations = list(state["Operations"])
        marker = state.get("NextMarker")
        while marker:
            page = client.get_durable_execution_state(
                DurableExecutionArn=self.arn, CheckpointToken=self.token, Marker=marker, MaxItems=1000
            )
            operations += page["Operations"]
            marker = page.get("NextMarker")
        self.operations = {o["Id"]: o for o in operations}
        details = operations[0]["ExecutionDetails"]
        self.input = json.loads(details.get("InputPayload", "{}"))

    def checkpoint(self, *updates):
        answer = self.client.checkpoint_durable_execution(
            DurableExecutionArn=self.arn, CheckpointToken=self.token, Updates=list(updates)
        )
        self.token = answer.get("CheckpointToken")
        for o in answer["NewExecutionState"]["Operations"]:
            self.operations[o["Id"]] = o

    def get(self, operation_id):
        return self.operations.get(operation_id)


def start(operation_id, kind, **options):
    return {"Id": operation_id, "Type": kind, "Action": "START", **options}


PENDING = {"Status": "PENDING"}


def succeeded(value):
    return {"Status": "SUCCEEDED", "Result": json.dumps(value)}


def run_wait(x):
    if not x.get("w"):
        x.checkpoint(start("w", "WAIT", WaitOptions={"WaitSeconds": 1}))
    return succeeded("waited") if x.get("w")["Status"] == "SUCCEEDED" else PENDING


def run_callback(x):
    if not x.get("c"):
        options = {k: v for k, v in x.input.items() if k.endswith("Seconds")}
        x.checkpoint(start("c", "CALLBACK", CallbackOptions=options))
    return PENDING if x.get("c")["Status"] == "STARTED" else succeeded(x.get("c")["CallbackDetails"])


def run_invoke(x):
    if not x.get("i"):
        options = {"FunctionName": x.input["target"], **({"TenantId": x.input["tenant"]} if "tenant" in x.input else {})}
        payload = {"Payload": x.input["payload"]} if "payload" in x.input else {}
        x.checkpoint(start("i", "CHAINED_INVOKE", ChainedInvokeOptions=options, **payload))
    return PENDING if x.get("i")["Status"] == "STARTED" else succeeded(x.get("i")["ChainedInvokeDetails"])


def run_crash(x):
    if not x.get("s"):
        x.checkpoint(start("s", "STEP", Name="risky", SubType="Step"))
        os._exit(3)
    x.checkpoint({"Id": "s", "Type": "STEP", "Action": "SUCCEED", "Payload": "1"})
    return succeeded(1)


def run_fail(x):
    return {"Status": "FAILED", "Error": {"ErrorType": "Boom", "ErrorMessage": "as asked", "StackTrace": ["a"]}}


def run_many(x):
    if not x.get("o0"):
        x.checkpoint(
            *({"Id": f"o{i}", "Type": "STEP", "Action": "SUCCEED", "Payload": str(i)} for i in range(150))
        )
    page = x.client.get_durable_execution_state(
        DurableExecutionArn=x.arn, CheckpointToken=x.token, MaxItems=100
    )
    rest = x.client.get_durable_execution_state(
        DurableExecutionArn=x.arn, CheckpointToken=x.token, Marker=page["NextMarker"]
    )
    return succeeded([len(page["Operations"]), len(rest["Operations"]), "NextMarker" in rest])


def run_echo(x):
    return succeeded(x.input)


def function():
    client = boto3.client("lambda")
    runtime = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    base = "/2018-06-01/runtime/invocation/"
    while True:
        runtime.request("GET", base + "next")
        answer = runtime.getresponse()
        event = json.loads(answer.read())
        request_id = answer.getheader("Lambda-Runtime-Aws-Request-Id")
        if "DurableExecutionArn" in event:
            x = Execution(client, event)
            result = globals()["run_" + x.input.get("mode", "echo")](x)
        else:
            result = {"echo": event}
        runtime.request("POST", f"{base}{request_id}/response", json.dumps(result))
        runtime.getresponse().read()


# ---- the client --------------------------------------------------------------------------------

failures = 0


def expect(what, found, wanted):
    global failures
    if found != wanted:
        failures += 1
        print(f"{what}: {found!r} instead of {wanted!r}")


def expect_error(what, code, status, call, **arguments):
    try:
        call(**arguments)
        expect(what, "no error", code)
    except botocore.exceptions.ClientError as e:
        expect(what, e.response["Error"]["Code"], code)
        expect(what + ", status", e.response["ResponseMetadata"]["HTTPStatusCode"], status)
        # A typed exception where the model has one.
        typed = getattr(call.__self__.exceptions, code, None) if code in dir(call.__self__.exceptions) else None
        expect(what + ", typed", isinstance(e, typed) if typed else True, True)


def until(what, probe):
    for _ in range(1200):
        found = probe()
        if found:
            return found
        time.sleep(0.05)
    expect(what, "nothing for 60 s", "something")
    sys.exit(1)


def history(client, arn, **options):
    pages = client.get_paginator("get_durable_execution_history").paginate(DurableExecutionArn=arn, **options)
    return [event for page in pages for event in page["Events"]]


def types(client, arn, **options):
    return [event["EventType"] for event in history(client, arn, **options)]


def invoke(client, payload, **options):
    return client.invoke(FunctionName="f:live", Payload=json.dumps(payload), **options)


def callback_id(client, arn):
    def started():
        for event in history(client, arn):
            if event["EventType"] == "CallbackStarted":
                return event["CallbackStartedDetails"]["CallbackId"]
        return None

    return until("callback", started)


def ended(client, arn):
    def closed():
        execution = client.get_durable_execution(DurableExecutionArn=arn)
        return execution if execution["Status"] != "RUNNING" else None

    return until("end", closed)


def check_invoke(client):
    answer = invoke(client, {"mode": "echo", "x": "é\u0001/"})
    expect("status", answer["StatusCode"], 200)
    expect("result", json.load(answer["Payload"]), {"mode": "echo", "x": "é\u0001/"})
    expect("version", answer["ExecutedVersion"], "1")
    arn = answer["DurableExecutionArn"]
    execution = client.get_durable_execution(DurableExecutionArn=arn)
    expect("status", execution["Status"], "SUCCEEDED")
    expect("function", execution["FunctionArn"], "arn:aws:lambda:us-east-1:123456789012:function:f:1")
    expect("start before end", execution["StartTimestamp"] <= execution["EndTimestamp"], True)
    expect("history", types(client, arn), ["ExecutionStarted", "InvocationCompleted", "ExecutionSucceeded"])
    event = history(client, arn)[0]
    expect("first id", event["EventId"], 1)
    expect("no data", event["ExecutionStartedDetails"]["Input"], {"Truncated": True})
    event = history(client, arn, IncludeExecutionData=True)[0]
    expect("data", event["ExecutionStartedDetails"]["Input"]["Payload"], execution["InputPayload"])

    plain = client.invoke(FunctionName="p", Payload=b'{"x":1}')
    expect("plain", json.load(plain["Payload"]), {"echo": {"x": 1}})
    expect("no payload", json.load(client.invoke(FunctionName="p")["Payload"]), {"echo": {}})
    expect("dry run", client.invoke(FunctionName="f:1", InvocationType="DryRun")["StatusCode"], 204)
    failed = invoke(client, {"mode": "fail"})
    expect("function error", failed["FunctionError"], "Unhandled")
    expect(
        "error body",
        json.load(failed["Payload"]),
        {"errorMessage": "as asked", "errorType": "Boom", "stackTrace": ["a"]},
    )
    expect("pages of the state", json.load(invoke(client, {"mode": "many"})["Payload"]), [100, 51, False])


def check_refusals(client, url):
    expect_error("unqualified", "InvalidParameterValueException", 400, client.invoke, FunctionName="f")
    expect_error("unknown", "ResourceNotFoundException", 404, client.invoke, FunctionName="no:1")
    expect_error("not JSON", "InvalidRequestContentException", 400, client.invoke, FunctionName="f:1", Payload=b"{")
    arn = "arn:aws:lambda:us-east-1:123456789012:function:f:1/durable-execution/a/b"
    expect_error("no such", "ResourceNotFoundException", 404, client.get_durable_execution, DurableExecutionArn=arn)
    expect_error(
        "bad token",
        "InvalidParameterValueException",
        400,
        client.checkpoint_durable_execution,
        DurableExecutionArn=arn,
        CheckpointToken="abc=",
    )
    expect_error(
        "callback id",
        "InvalidParameterValueException",
        400,
        client.send_durable_execution_callback_heartbeat,
        CallbackId="abc=",
    )
    stranger = make_client(url, "wrong")
    expect_error("signature", "InvalidSignatureException", 403, stranger.invoke, FunctionName="f:1")


def check_operations(client):
    began = time.time()
    answer = invoke(client, {"mode": "wait"})
    expect("wait", json.load(answer["Payload"]), "waited")
    expect("not early", time.time() - began >= 1, True)
    wanted = ["ExecutionStarted", "WaitStarted", "InvocationCompleted", "WaitSucceeded"]
    wanted += ["InvocationCompleted", "ExecutionSucceeded"]
    expect("wait's history", types(client, answer["DurableExecutionArn"]), wanted)
    reverse = types(client, answer["DurableExecutionArn"], ReverseOrder=True, MaxItems=2)
    expect("reverse, in pages", reverse, wanted[::-1])

    answer = invoke(client, {"mode": "crash"})
    expect("crash", json.load(answer["Payload"]), 1)
    events = history(client, answer["DurableExecutionArn"], IncludeExecutionData=True)
    wanted = ["ExecutionStarted", "StepStarted", "InvocationCompleted", "StepSucceeded"]
    wanted += ["InvocationCompleted", "ExecutionSucceeded"]
    expect("crash's history", [e["EventType"] for e in events], wanted)
    crash = events[2]["InvocationCompletedDetails"]["Error"]["Payload"]["ErrorType"]
    expect("crash's error", crash, "Runtime.ExitError")
    expect("attempt", events[3]["StepSucceededDetails"]["RetryDetails"], {"CurrentAttempt": 1})


def check_callbacks(client):
    arn = invoke(client, {"mode": "callback", "HeartbeatTimeoutSeconds": 60}, InvocationType="Event")["DurableExecutionArn"]
    secret = callback_id(client, arn)
    expect("awkward characters", all(c in secret for c in "+/="), True)
    client.send_durable_execution_callback_heartbeat(CallbackId=secret)
    client.send_durable_execution_callback_success(CallbackId=secret, Result=b'{"a":"+"}')
    result = json.loads(ended(client, arn)["Result"])
    expect("callback", result, {"CallbackId": secret, "Result": '{"a":"+"}'})
    for call, options in (
        (client.send_durable_execution_callback_success, {"Result": b"2"}),
        (client.send_durable_execution_callback_failure, {}),
        (client.send_durable_execution_callback_heartbeat, {}),
    ):
        expect_error("twice", "CallbackTimeoutException", 400, call, CallbackId=secret, **options)

    arn = invoke(client, {"mode": "callback"}, InvocationType="Event")["DurableExecutionArn"]
    error = {"ErrorType": "Job", "ErrorMessage": "exit 3", "ErrorData": "{}", "StackTrace": ["x"]}
    client.send_durable_execution_callback_failure(CallbackId=callback_id(client, arn), Error=error)
    expect("failure", json.loads(ended(client, arn)["Result"])["Error"], error)

    for option, kind in (("TimeoutSeconds", "Callback.Timeout"), ("HeartbeatTimeoutSeconds", "Callback.Heartbeat")):
        answer = invoke(client, {"mode": "callback", option: 1})
        expect(option, json.load(answer["Payload"])["Error"]["ErrorType"], kind)


def check_life(client):
    arn = invoke(client, {"mode": "callback"}, InvocationType="Event")["DurableExecutionArn"]
    secret = callback_id(client, arn)
    stopped = client.stop_durable_execution(DurableExecutionArn=arn, Error={"ErrorType": "Cancelled"})
    again = client.stop_durable_execution(DurableExecutionArn=arn)
    expect("stop twice", again["StopTimestamp"], stopped["StopTimestamp"])
    execution = client.get_durable_execution(DurableExecutionArn=arn)
    expect("stopped", (execution["Status"], execution["Error"]), ("STOPPED", {"ErrorType": "Cancelled"}))
    expect_error(
        "after the stop",
        "CallbackTimeoutException",
        400,
        client.send_durable_execution_callback_success,
        CallbackId=secret,
    )
    listed = client.list_durable_executions_by_function(FunctionName="f", Qualifier="1", Statuses=["STOPPED"])
    expect("list", [e["DurableExecutionArn"] for e in listed["DurableExecutions"]], [arn])

    name = {"DurableExecutionName": "only-one", "InvocationType": "Event"}
    first = invoke(client, {"x": 1}, **name)["DurableExecutionArn"]
    expect("same name", invoke(client, {"x": 1}, **name)["DurableExecutionArn"], first)
    expect("its result", ended(client, first)["Result"], '{"x": 1}')
    expect("after its end", invoke(client, {"x": 1}, **name)["DurableExecutionArn"], first)
    expect_error(
        "other payload",
        "DurableExecutionAlreadyStartedException",
        409,
        client.invoke,
        FunctionName="f:1",
        Payload=b"{}",
        **name,
    )


def check_lists(client):
    arns = [
        invoke(client, {"mode": "callback"}, InvocationType="Event", DurableExecutionName=f"list-{i}")["DurableExecutionArn"]
        for i in range(3)
    ]
    pages = client.get_paginator("list_durable_executions_by_function")

    def listed(**options):
        found = pages.paginate(FunctionName="f", Qualifier="1", PaginationConfig={"PageSize": 2}, **options)
        return [e["DurableExecutionArn"] for page in found for e in page["DurableExecutions"] if e["DurableExecutionArn"] in arns]

    first = client.get_durable_execution(DurableExecutionArn=arns[0])["StartTimestamp"]
    expect("oldest first, in pages", listed(), arns)
    expect("newest first, in pages", listed(ReverseOrder=True), arns[::-1])
    expect("by name", listed(DurableExecutionName="list-1"), arns[1:2])
    expect("by statuses", listed(Statuses=["RUNNING", "FAILED"]), arns)
    expect("of another status", listed(Statuses=["TIMED_OUT"]), [])
    expect("since", listed(StartedAfter=first), arns)
    expect("before", listed(StartedBefore=first - datetime.timedelta(hours=1)), [])
    for arn in arns:
        client.stop_durable_execution(DurableExecutionArn=arn)
    expect("stopped", listed(Statuses=["STOPPED"]), arns)
    expect_error(
        "status", "ValidationException", 400, client.list_durable_executions_by_function, FunctionName="f", Statuses=["DONE"]
    )


def check_invokes(client):
    target = {"mode": "wait"}
    answer = invoke(client, {"mode": "invoke", "target": "f:1", "payload": json.dumps(target), "tenant": "t"})
    expect("chained", json.load(answer["Payload"]), {"Result": '"waited"'})
    events = history(client, answer["DurableExecutionArn"], IncludeExecutionData=True)
    wanted = ["ExecutionStarted", "ChainedInvokeStarted", "InvocationCompleted", "ChainedInvokeSucceeded"]
    expect("chained's history", [e["EventType"] for e in events], wanted + ["InvocationCompleted", "ExecutionSucceeded"])
    started = events[1]["ChainedInvokeStartedDetails"]
    expect("its target", (started["ExecutedVersion"], started["TenantId"]), ("1", "t"))
    expect("its execution", types(client, started["DurableExecutionArn"])[-1], "ExecutionSucceeded")
    answer = invoke(client, {"mode": "invoke", "target": "nobody:1"})
    expect("unknown", json.load(answer["Payload"])["Error"]["ErrorType"], "ResourceNotFoundException")


def make_client(url, secret):
    return boto3.client(
        "lambda",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key=secret,
    )


def check(url):
    client = make_client(url, "secret")
    check_invoke(client)
    check_refusals(client, url)
    check_operations(client)
    check_callbacks(client)
    check_life(client)
    check_lists(client)
    check_invokes(client)
    return 1 if failures else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["function"]:
        function()
    elif len(sys.argv) == 3 and sys.argv[1] == "check":
        sys.exit(check(sys.argv[2]))
    else:
        sys.exit(__doc__)
