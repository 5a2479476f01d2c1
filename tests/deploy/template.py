"""A SAM template as plain data: the intrinsic functions, what they refer to, and their values.

Values are what the stack `stack` would have in the account and region that local-aws plays.
"""
import re

import yaml

REGION, ACCOUNT, STACK = "us-east-1", "123456789012", "stack"
PSEUDO = {
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::StackName": STACK,
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/11111111-2222-3333-4444-555555555555",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::NoValue": None,
}


class _Loader(yaml.SafeLoader):
    pass


def _tag(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else "Fn::" + suffix: value}


_Loader.add_multi_constructor("!", _tag)


def load(path):
    with open(path) as f:
        text = f.read()
    for token in yaml.scan(text):
        if isinstance(token, (yaml.AliasToken, yaml.AnchorToken)):
            raise SystemExit(f"{path}: CloudFormation takes no YAML anchors and aliases")
    return yaml.load(text, Loader=_Loader)


def references(node, path=(), conditions=()):
    """Yields (kind, name, attribute, path, conditions) of each reference below `node`; conditions are
    the (name, value) pairs of the Fn::If around it."""
    if isinstance(node, list):
        for i, item in enumerate(node):
            yield from references(item, path + (i,), conditions)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "Ref":
                yield "Ref", value, None, path, conditions
            elif key == "Fn::GetAtt":
                yield "GetAtt", value[0], value[1], path, conditions
            elif key == "Fn::Sub":
                text, own = (value, {}) if isinstance(value, str) else (value[0], value[1])
                for name in re.findall(r"\$\{([^!}][^}]*)\}", text):
                    if name in own:
                        continue
                    first, _, attribute = name.partition(".")
                    kind = "GetAtt" if attribute else "Ref"
                    yield kind, first, attribute or None, path, conditions
                yield from references(own, path, conditions)
            elif key == "Fn::If":
                yield "Condition", value[0], None, path, conditions
                yield from references(value[1], path, conditions + ((value[0], True),))
                yield from references(value[2], path, conditions + ((value[0], False),))
            elif key == "Condition" and isinstance(value, str):
                yield "Condition", value, None, path, conditions
            else:
                yield from references(value, path + (key,), conditions)


class Values:
    """Resolves intrinsic functions with the parameters' defaults and made-up names."""

    def __init__(self, template, parameters=None):
        self.template = template
        self.parameters = {k: v.get("Default") for k, v in template.get("Parameters", {}).items()}
        for name, value in self.parameters.items():
            if template["Parameters"][name]["Type"] == "CommaDelimitedList":
                self.parameters[name] = str(value).split(",")
        self.parameters.update(parameters or {})

    def resource(self, name):
        return self.template["Resources"][name]

    def ref(self, name):
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.parameters:
            return self.parameters[name]
        kind = self.resource(name)["Type"]
        properties = self.resource(name).get("Properties", {})
        if kind == "AWS::ECS::Cluster":
            return "local"
        if kind.endswith("::Function") and "FunctionName" in properties:
            return self.value(properties["FunctionName"])
        if kind == "AWS::SecretsManager::Secret":
            return f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-AbCdEf"
        return f"{STACK}-{name}"

    def att(self, name, attribute):
        kind, ref = self.resource(name)["Type"], self.ref(name)
        if attribute == "ApiEndpoint":
            return f"https://api.execute-api.{REGION}.amazonaws.com"
        if attribute != "Arn":
            return f"{ref}-{attribute}"
        prefix = {
            "AWS::ECS::Cluster": f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/",
            "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/",
            "AWS::SQS::Queue": f"arn:aws:sqs:{REGION}:{ACCOUNT}:",
            "AWS::Logs::LogGroup": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:",
        }.get(kind, f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:" if kind.endswith("Function") else f"arn:aws:{kind}:")
        return prefix + ref

    def condition(self, name):
        return self.value(self.template["Conditions"][name])

    def sub(self, value):
        text, own = (value, {}) if isinstance(value, str) else value
        own = {k: self.value(v) for k, v in own.items()}

        def one(match):
            name, _, attribute = match.group(1).partition(".")
            if match.group(1) in own:
                return str(own[match.group(1)])
            return str(self.att(name, attribute) if attribute else self.ref(name))

        return re.sub(r"\$\{([^!}][^}]*)\}", one, text)

    def value(self, node):
        if isinstance(node, list):
            items = [self.value(item) for item in node]
            return [item for item in items if item is not None]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            key, v = next(iter(node.items()))
            if key == "Ref":
                return self.ref(v)
            if key == "Fn::GetAtt":
                return self.att(*v)
            if key == "Fn::Sub":
                return self.sub(v)
            if key == "Fn::If":
                return self.value(v[1] if self.condition(v[0]) else v[2])
            if key == "Fn::Join":
                return v[0].join(str(item) for item in self.value(v[1]))
            if key == "Fn::Split":
                return str(self.value(v[1])).split(v[0])
            if key == "Fn::Select":
                return self.value(v[1])[int(self.value(v[0]))]
            if key == "Fn::GetAZs":
                return [REGION + "a", REGION + "b", REGION + "c"]
            if key == "Fn::Equals":
                a, b = self.value(v)
                return str(a) == str(b)
            if key == "Fn::Not":
                return not self.value(v[0])
            if key == "Condition" and isinstance(v, str):
                return self.condition(v)
        return {k: self.value(v) for k, v in node.items()}
