# cost.awk: what a million workflows of one job cost on AWS, for layout.awk: prices and assumptions (prices.tsv), and
# what bench-launcher has measured in this run.

BEGIN { OFS = "\t" }
/^#/ { next }
$1 == "price" || $1 == "assumed" || $1 == "quoted" {
    value[$2] = $3
    unit[$2] = $4
    known[$2] = $5
    source[$2] = $6
    list[++count] = $1 OFS $2
    next
}
$1 == "constant" { value[$2] = $3 }

function ceil(v) { return v == int(v) ? v : int(v) + 1 }
function money(v) { return sprintf("%.2f $", v) }

# A line of the bill: what, how much a workflow, the price's name, the dollars of a million workflows.
function bill(what, much, price, dollars) {
    total += dollars
    print "row", what, much, price == "" ? "" : value[price] " " unit[price], money(dollars)
}

# A million invocations of `ms` billed milliseconds.
function computing(ms) { return 1e6 * ms / 1000 * value["memory_gb"] * value["gb_second"] }

function line_of(title, name, source_, warm,    first, resume) {
    if ((name ".first") in value) {
        first = ceil(warm ? value[name ".warm_first"] : value[name ".start"] + value[name ".first"])
        resume = ceil(warm ? value[name ".warm_resume"] : value[name ".start"] + value[name ".resume"])
        print "row", title, warm ? "warm" : "each in a new process", source_, first " + " resume " ms", \
            "1e6 × " (first + resume) / 1000 " × " value["memory_gb"] " × " value["gb_second"], \
            money(computing(first + resume))
    }
}

END {
    print "h", "Cost of a million workflows on AWS"
    c = ("static.operations" in value) ? "static" : "c"
    if (!((c ".operations") in value)) {
        print "p", "skipped: the launcher was not measured in this run."
        exit
    }
    print "p", "One job each, which sends its result and takes a minute; us-east-1. What was measured is of this run, on " \
        "the loopback interface; prices and assumptions are in tests/bench/prices.tsv and below. The prices must be " \
        "looked up before a sum is relied on."
    first = ceil(value[c ".warm_first"])
    resume = ceil(value[c ".warm_resume"])
    kb = value[c ".bytes"] / 1000
    print "head", "part", "a workflow", "price", "a million"
    bill("HTTP API", value["api_requests"] " requests, assumed: " source["api_requests"], "api_request", \
        value["api_requests"] * value["api_request"])
    bill("invocations", value["invocations"] ": " source["invocations"], "invocation", \
        value["invocations"] * value["invocation"])
    bill("function workflow", first " + " resume " ms billed, measured", "gb_second", computing(first + resume))
    bill("its waiting for AWS", value["aws_ms"] " ms, assumed: " source["aws_ms"], "gb_second", computing(value["aws_ms"]))
    bill("functions api and events", value["other_ms"] " ms, assumed: " source["other_ms"], "gb_second", \
        computing(value["other_ms"]))
    bill("durable operations", value[c ".operations"] ", measured", "operation", \
        value[c ".operations"] * value["operation"])
    bill("durable data written", sprintf("%.1f kB, measured", kb), "written_gb", kb * value["written_gb"])
    bill("durable data kept", sprintf("%.1f kB for %d days", kb, value["kept_days"]), "kept_gb_month", \
        kb * value["kept_gb_month"] * value["kept_days"] / 30)
    bill("queue of events", value["queue_requests"] " requests", "queue_request", \
        value["queue_requests"] * value["queue_request"])
    bill("logs", value["logs_kb"] " kB, assumed", "logs_gb", value["logs_kb"] * value["logs_gb"])
    print "row", "together", "", "", money(total)
    hour = value["task_vcpu"] * value["vcpu_hour"] + value["task_gb"] * value["task_gb_hour"]
    print "row", "the job itself", value["task_s"] " s of " value["task_vcpu"] " vCPU and " value["task_gb"] " GB", \
        value["vcpu_hour"] " and " value["task_gb_hour"] " $ an hour", money(1e6 * value["task_s"] / 3600 * hour)

    print "p", "Computing time alone, by language: workflows × billed seconds × GB × price. Billed time is rounded up to " \
        "a millisecond; in a new process its start is billed, too."
    print "head", "the workflow function", "processes", "from", "billed", "sum", "a million"
    for (warm = 1; warm >= 0; warm--) {
        line_of("this project, static", "static", "this run", warm)
        line_of("this project, Debian's libcurl", "c", "this run", warm)
        line_of("JavaScript, AWS's SDK", "js", "this run", warm)
        if (!warm)
            line_of("Python, AWS's SDK", "python", "another machine", warm)
    }
    operations = value[c ".operations"]
    print "p", "Python's SDK was not there to be measured: its figures are those of another machine of this kind, and no " \
        "ratio to them is claimed. Operations: " operations " here, " (("js.operations") in value ? value["js.operations"] \
        " in the JavaScript flow, which has no attempts" : "the others' were not measured") "; a poll of AWS's sync " \
        "sample is another operation and invocation, here as there. Beside " money(operations * value["operation"]) \
        " for operations the language hardly counts in this sum; it counts in latency."
    print "p", "Not certain is what AWS counts as an operation. If the end of a step or context counts apart from its start, " \
        "there are " value[c ".updates"] " and not " operations ": " money(value[c ".updates"] * value["operation"]) \
        ", which makes " money(total + (value[c ".updates"] - operations) * value["operation"]) " in all. Where a job is " \
        "tried again, each attempt costs its own operations but the execution's, and two or more for the wait in between. " \
        "In a batch a job is an operation of the batch and its own workflow."
    print "p", "Formula of the job: 1e6 × " value["task_s"] " / 3600 × (" value["task_vcpu"] " × " value["vcpu_hour"] \
        " + " value["task_gb"] " × " value["task_gb_hour"] ") = " money(1e6 * value["task_s"] / 3600 * hour) "."
    print "head", "kind", "what", "value", "as known in", "from"
    for (i = 1; i <= count; i++) {
        split(list[i], k, OFS)
        print "row", k[1], k[2], value[k[2]] " " unit[k[2]], known[k[2]], source[k[2]]
    }
}
