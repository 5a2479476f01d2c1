#!/usr/bin/env python3
"""Checks template.yaml, template-zip.yaml and docker-compose.yml: tests/deploy/check.py [CHECK...]

  lint         cfn-lint has no finding
  transform    the SAM transform applies; versions outlive deployments; every role is our own
  references   every Ref, GetAtt, Sub, condition and DependsOn leads somewhere that exists whenever it
               is asked for, and every parameter and condition is used
  images       the Dockerfiles share their first stage, which is so built once, nobody in them is root,
               and what serves has a health check
  environment  programs know each variable that they are given, start with its value, and each
               variable of theirs that they are not given is listed below with a reason

Exit status 1 with a line for each finding; what cannot be checked here says 'skipped: ...'.
The policies are checked by tests/deploy/iam.py.
"""
import logging
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(__file__))
import template as t  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("BIN_DIR", "build/bin")
TEMPLATES = ("template.yaml", "template-zip.yaml")
findings = []


def finding(text):
    findings.append(text)
    print("deploy: " + text)


# ---- lint ----------------------------------------------------------------------------------------


def lint():
    made = subprocess.run(["tests/deploy/zip-template"], capture_output=True, text=True, check=True).stdout
    with open("template-zip.yaml") as f:
        if f.read() != made:
            finding("template-zip.yaml is not what template.yaml makes: make template-zip.yaml")
    if not shutil.which("cfn-lint"):
        print("skipped: cfn-lint is not installed (pip install cfn-lint)")
        return
    run = subprocess.run(["cfn-lint", *TEMPLATES], capture_output=True, text=True)
    if run.returncode != 0 or run.stdout.strip():
        finding("cfn-lint:\n" + run.stdout + run.stderr)


# ---- transform -----------------------------------------------------------------------------------


def transformed(path):
    import samtranslator.translator.transform as sam
    from samtranslator.yaml_helper import yaml_parse

    with open(path) as f:
        text = f.read()
    # What sam package puts in the place of images and files.
    text = re.sub(r"CodeUri: \S+", "CodeUri: s3://bucket/key", text)
    document = yaml_parse(text)
    for resource in document["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function" and resource["Properties"].get("PackageType") == "Image":
            resource["Properties"]["ImageUri"] = "123456789012.dkr.ecr.us-east-1.amazonaws.com/repository:tag"
    os.environ.setdefault("AWS_DEFAULT_REGION", t.REGION)
    logging.disable(logging.WARNING)  # it speaks of metrics of its own
    return sam.transform(document, {}, lambda: {})


def transform():
    try:
        import samtranslator  # noqa: F401
    except ImportError:
        print("skipped: the SAM transform is not installed (pip install aws-sam-translator)")
        return
    for path in TEMPLATES:
        resources = transformed(path)["Resources"]
        functions = {n: r for n, r in resources.items() if r["Type"] == "AWS::Lambda::Function"}
        versions = [r for n, r in resources.items() if r["Type"] == "AWS::Lambda::Version" and n.startswith("WorkflowFunction")]
        if len(versions) != 1 or versions[0].get("DeletionPolicy") != "Retain":
            finding(f"{path}: WorkflowFunction: no published version, or one that goes with the next deployment")
        durable = [n for n, r in functions.items() if "DurableConfig" in r["Properties"]]
        if durable != ["WorkflowFunction"]:
            finding(f"{path}: durable functions are {durable}")
        for name, role in resources.items():
            if role["Type"] == "AWS::IAM::Role" and role["Properties"].get("ManagedPolicyArns"):
                finding(f"{path}: {name} has a managed policy; ours say what they allow")
        image = "template-zip" not in path
        for name in ("WorkflowFunction", "ApiFunction", "EventsFunction"):
            p = functions[name]["Properties"]
            if (p.get("PackageType") == "Image") != image or ("Runtime" in p) == image:
                finding(f"{path}: {name} is not {'an image' if image else 'a zip file'}")
            if not image and p["Runtime"] != "provided.al2023":
                finding(f"{path}: {name} runs on {p['Runtime']}")


# ---- references ----------------------------------------------------------------------------------


def references_of(path):
    template = t.load(path)
    resources, parameters = template["Resources"], template["Parameters"]
    conditions = template.get("Conditions", {})
    used = set()
    for section in ("Resources", "Outputs", "Conditions", "Rules"):
        for owner, body in template.get(section, {}).items():
            around = ((body["Condition"], True),) if isinstance(body, dict) and "Condition" in body else ()
            depends = body.get("DependsOn", []) if isinstance(body, dict) else []
            where = f"{path}: {section}/{owner}"
            for name in [depends] if isinstance(depends, str) else depends:
                if name not in resources:
                    finding(f"{where}: depends on {name}, which is not there")
            for kind, name, attribute, _, ifs in t.references(body):
                used.add(name)
                first, _, rest = name.partition(".")
                if kind == "Condition":
                    if name not in conditions:
                        finding(f"{where}: there is no condition {name}")
                elif name in t.PSEUDO or (kind == "Ref" and name in parameters):
                    pass
                elif first not in resources:
                    finding(f"{where}: {kind} {name} leads nowhere")
                elif rest and rest not in ("Version", "Alias"):
                    finding(f"{where}: {kind} {name} leads nowhere")
                else:
                    used.add(first)
                    needs = resources[first].get("Condition")
                    if needs and (needs, True) not in around + ifs:
                        finding(f"{where}: {name} is there only if {needs}, which is not asked")
    for name in list(parameters) + list(conditions):
        if name not in used:
            finding(f"{path}: {name} is not used")
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    shown = [name for group in groups for name in group["Parameters"]]
    if sorted(shown) != sorted(parameters):
        finding(f"{path}: parameters shown in groups differ from those that there are")


def references():
    for path in TEMPLATES:
        references_of(path)


# ---- images --------------------------------------------------------------------------------------


def images():
    first = set()
    for folder in ("launcher", "callback-receiver", "container", "local"):
        with open(f"{folder}/Dockerfile") as f:
            text = f.read()
        _, build, last, *rest = re.split(r"^(?=FROM )", text, flags=re.M)
        first.add(re.sub(r"\n(#[^\n]*\n?)+$", "", build.rstrip("\n")).rstrip("\n"))  # comments of the next stage
        where = f"{folder}/Dockerfile"
        users = re.findall(r"^USER (\S+)", last, re.M)
        if not users or users[-1].split(":")[0] in ("root", "0"):
            finding(f"{where}: runs as root")
        if ("EXPOSE" in last) != ("HEALTHCHECK" in last):
            finding(f"{where}: what serves has a health check, and nothing else")
        if re.search(r"^# *syntax|--mount|--link|<<|--platform|amd64|x86", text, re.M):
            finding(f"{where}: needs BuildKit, or is for one architecture")
        for base in re.findall(r"^FROM (\S+)", text, re.M):
            if base != "debian:trixie-slim":
                finding(f"{where}: is made from {base}")
        if rest:
            finding(f"{where}: has more than two stages")
    with open("Makefile") as f:
        lists = re.findall(r"^(?:STATIC_)?DEBIAN := ((?:.*\\\n)*.*)", f.read(), re.M)
    wanted = {p for packages in lists for p in packages.replace("\\", " ").split()}
    installed = re.search(r"apt-get install -y --no-install-recommends (.*?) && rm", next(iter(first)), re.S).group(1)
    if set(installed.replace("\\", " ").split()) != wanted:
        finding(f"the Dockerfiles' first stage does not install the Makefile's packages: {sorted(wanted)}")
    if len(first) != 1:
        finding("the first stages of the Dockerfiles differ, so that each is built anew")


# ---- environment ---------------------------------------------------------------------------------

# What AWS or the programs' own defaults say. Each variable is here with a reason, or is given.
AWS_GIVES = "Lambda and ECS set it, or their credentials' endpoint stands for it"
NOT_GIVEN = {
    "bootstrap": {
        "AWS_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_LAMBDA_RUNTIME_API": AWS_GIVES,
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI AWS_CONTAINER_CREDENTIALS_FULL_URI": AWS_GIVES,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": AWS_GIVES,
        "AWS_ENDPOINT_URL AWS_ENDPOINT_URL_LAMBDA AWS_ENDPOINT_URL_ECS AWS_ENDPOINT_URL_SECRETS_MANAGER": "AWS's own are meant",
        "ALLOWED_TASK_DEFINITIONS": "the stack has one task definition",
        "LAUNCH_TYPE": "CAPACITY_PROVIDERS stands in its place",
        "RECEIVER_URL": "the same as CALLBACK_BASE_URL",
        "CALLBACK_TOKEN_KEYS": "CALLBACK_TOKEN_KEYS_SECRET stands in its place",
        "EVENTS_DELAY_SECONDS": "the queue delays",
    },
    "callback-receiver": {
        "AWS_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN": AWS_GIVES,
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI AWS_CONTAINER_CREDENTIALS_FULL_URI": AWS_GIVES,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": AWS_GIVES,
        "AWS_ENDPOINT_URL AWS_ENDPOINT_URL_LAMBDA AWS_ENDPOINT_URL_ECS AWS_ENDPOINT_URL_SECRETS_MANAGER": "AWS's own are meant",
        "CALLBACK_TOKEN_KEYS": "CALLBACK_TOKEN_KEYS_SECRET stands in its place",
        "OPS_TOKEN": "the operations port is on the loopback interface",
        "KEYS_REFRESH_SECONDS MAX_CONNECTIONS MAX_BUFFERED_MIB MAX_QUEUED_MIB DELIVERY_CALLS RETRY_BASE_MS RETRY_CAP_MS": "the default suits",
        "MAX_CONNECTIONS_PER_PEER": "one address is the gateway",
    },
}


def known_to(program):
    text = subprocess.run([f"{BIN}/{program}", "--help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"\[([A-Z][A-Z0-9_]*)\]", text))


def environment_of_template(path):
    """Yields (what, program, arguments, variables with values)."""
    template = t.load(path)
    values = t.Values(template)
    for name, resource in template["Resources"].items():
        p = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function" and name.endswith("Function"):
            handler = p["Handler"] if "Handler" in p else p["ImageConfig"]["Command"][0]
            yield f"{path}: {name}", "bootstrap", [handler], values.value(p["Environment"]["Variables"])
        elif resource["Type"] == "AWS::ECS::TaskDefinition":
            for c in p["ContainerDefinitions"]:
                variables = {v["Name"]: values.value(v["Value"]) for v in c.get("Environment", [])}
                variables.update({v["Name"]: None for v in c.get("Secrets", [])})
                program = {"receiver": "callback-receiver", "job": "callback-run"}[c["Name"]]
                yield f"{path}: {name}/{c['Name']}", program, [], variables


def environment_of_compose(path):
    import yaml

    with open(path) as f:
        services = yaml.safe_load(f)["services"]
    programs = {"callback-receiver": "callback-receiver", "local-aws": "local-aws", "launcher": "bootstrap"}
    for name, service in services.items():
        for image, program in programs.items():
            if name == image or name.startswith(image + "-"):
                variables = service.get("environment", {})
                yield f"{path}: {name}", program, [], {k: None for k in variables}


def starts(where, program, arguments, variables):
    """The program takes the values: it gets as far as its first call, which finds nobody."""
    nobody = "http://127.0.0.1:9"
    env = {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in variables.items() if v is not None}
    env.update({"AWS_ENDPOINT_URL": nobody, "AWS_REGION": t.REGION, "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"})
    env.update({"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9", "LISTEN": "127.0.0.1:0", "OPS_LISTEN": "127.0.0.1:0"})
    env.update({k: "sqlite::memory:" for k, v in variables.items() if k == "CALLBACK_STORE"})
    try:
        run = subprocess.run([f"{BIN}/{program}", *arguments], env=env, capture_output=True, text=True, timeout=20)
        said = run.stderr
    except subprocess.TimeoutExpired as still:
        said = (still.stderr or b"").decode() if isinstance(still.stderr, bytes) else (still.stderr or "")
    if not re.search(r"127\.0\.0\.1|[Cc]onnect|Secrets Manager", said):
        finding(f"{where}: {program} does not take these values: {said.strip()[-300:]}")


def environment():
    missing = [p for p in ("bootstrap", "callback-receiver", "callback-run", "local-aws") if not os.path.exists(f"{BIN}/{p}")]
    if missing:
        finding(f"{BIN} has no {', '.join(missing)}: make all")
        return
    given = {}
    for path in TEMPLATES:
        for where, program, arguments, variables in environment_of_template(path):
            for name in set(variables) - known_to(program):
                finding(f"{where}: {program} knows no {name}")
            given.setdefault(program, set()).update(variables)
            if program != "callback-run":
                starts(where, program, arguments, variables)
    for program, reasons in NOT_GIVEN.items():
        excused = {name for names in reasons for name in names.split()}
        for name in sorted(known_to(program) - given[program] - excused):
            finding(f"template.yaml: {program} reads {name}, which is neither given nor excused in {__file__}")
        for name in sorted(excused - known_to(program)):
            finding(f"{__file__}: {program} reads no {name}")
        for name in sorted(excused & given[program]):
            finding(f"{__file__}: {name} is given, so it needs no excuse")
    for where, program, _, variables in environment_of_compose("docker-compose.yml"):
        for name in sorted(set(variables) - known_to(program)):
            finding(f"{where}: {program} knows no {name}")


def main():
    checks = {"lint": lint, "transform": transform, "references": references, "images": images, "environment": environment}
    os.chdir(ROOT)
    for name in sys.argv[1:] or checks:
        before = len(findings)
        checks[name]()
        print(f"{'ok   ' if len(findings) == before else 'FAIL '} deploy: {name}")
    sys.exit(1 if findings else 0)


main()
