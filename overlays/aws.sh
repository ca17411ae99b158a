#!/usr/bin/env bash
# Creates or updates what the pipeline needs of AWS, and says what to do next: aws.sh STACK [PARAMETER=VALUE …]
# `make aws` runs it. The AWS CLI finds account, region and endpoint as always.
set -euo pipefail
stack=$1
shift
cd "$(dirname "$0")/.."
command -v aws >/dev/null || { echo "The AWS CLI is required, but not installed: https://aws.amazon.com/cli/" >&2; exit 1; }

account=$(aws sts get-caller-identity --query Account --output text)
echo "Deploying the stack $stack to the account $account ..."
overrides=()
[ $# -eq 0 ] || overrides=(--parameter-overrides "$@")
aws cloudformation deploy --stack-name "$stack" --template-file overlays/aws/cloudformation.yaml \
  --capabilities CAPABILITY_IAM --no-fail-on-empty-changeset ${overrides[@]+"${overrides[@]}"}

# All outputs but ARNs are settings: TopicName is TOPIC_NAME.
settings=$(
  aws cloudformation describe-stacks --stack-name "$stack" --output text \
    --query 'Stacks[0].Outputs[?!ends_with(OutputKey, `Arn`)].[OutputKey, OutputValue]' |
    awk -F '\t' '{gsub(/[A-Z]/, "_&", $1); printf "         %s: \"%s\"\n", toupper(substr($1, 2)), $2}'
)
cat <<END

Next:
  1. Set these in overlays/aws/config.yaml:
$settings
  2. Give the service accounts their roles, if you have not:
         make aws STACK=$stack PARAMETERS="ClusterName=CLUSTER Namespace=NAMESPACE"
  3. Set the database:
         kubectl create secret generic fanout-own \\
           --from-literal=DATABASE_URL='postgresql://user:password@host/fanout?sslmode=require'
  4. Build, push and deploy:
         make push release REGISTRY=registry.example.com/fanout OVERLAY=aws
To remove the stack, with all messages: aws cloudformation delete-stack --stack-name $stack
END
