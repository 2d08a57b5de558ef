package notify

import (
	"encoding/json"
	"strings"
)

// A policy is an IAM policy document.
type policy struct {
	Version   string
	Statement []statement
}

type statement struct {
	Sid       string
	Effect    string
	Principal map[string]string
	Action    []string
	Resource  string
	Condition map[string]map[string]string
}

func (p policy) String() string {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // it is made of texts alone
	}
	return string(text)
}

const policyVersion = "2012-10-17"

// queuePolicy lets a topic send to a queue, and nobody else but whom the account
// itself allows it. Source: Amazon SNS developer guide, "Fanout to Amazon SQS
// queues".
func queuePolicy(queue, topic string) policy {
	return policy{policyVersion, []statement{{
		Sid: "firn", Effect: "Allow", Principal: map[string]string{"Service": "sns.amazonaws.com"},
		Action: []string{"sqs:SendMessage"}, Resource: queue,
		Condition: map[string]map[string]string{"ArnEquals": {"aws:SourceArn": topic}},
	}}}
}

// topicPolicy lets the vaults of the topic's own account publish to it. The first
// statement is the one that SNS gives every topic, under which vaults of the same
// account publish; the second says it of the vault service by name. Sources: Amazon
// SNS developer guide, "Example cases for Amazon SNS access control"; Amazon
// Glacier developer guide, "Configuring vault notifications".
func topicPolicy(topic string) policy {
	account := accountOf(topic)
	return policy{policyVersion, []statement{{
		Sid: "owner", Effect: "Allow", Principal: map[string]string{"AWS": "*"},
		Action: []string{
			"SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:AddPermission", "SNS:RemovePermission",
			"SNS:DeleteTopic", "SNS:Subscribe", "SNS:ListSubscriptionsByTopic", "SNS:Publish",
		},
		Resource:  topic,
		Condition: map[string]map[string]string{"StringEquals": {"AWS:SourceOwner": account}},
	}, {
		Sid: "glacier", Effect: "Allow", Principal: map[string]string{"Service": "glacier.amazonaws.com"},
		Action: []string{"SNS:Publish"}, Resource: topic,
		Condition: map[string]map[string]string{"StringEquals": {"aws:SourceAccount": account}},
	}}}
}

// accountOf is the account in an ARN, arn:aws:SERVICE:REGION:ACCOUNT:NAME.
func accountOf(arn string) string {
	if fields := strings.SplitN(arn, ":", 6); len(fields) == 6 {
		return fields[4]
	}
	return ""
}

// nameOf is what follows the account in an ARN.
func nameOf(arn string) string {
	if fields := strings.SplitN(arn, ":", 6); len(fields) == 6 {
		return fields[5]
	}
	return ""
}
