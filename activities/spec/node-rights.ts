// What the SSM agent of a node in AWS needs to take commands, and nothing of what else AWS's own managed policy gives it: no parameters, no inventory.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/setup-instance-permissions.html

export const takeCommandsActions: readonly string[] = [
  'ssm:UpdateInstanceInformation',
  'ssmmessages:CreateControlChannel',
  'ssmmessages:CreateDataChannel',
  'ssmmessages:OpenControlChannel',
  'ssmmessages:OpenDataChannel',
  'ec2messages:AcknowledgeMessage',
  'ec2messages:DeleteMessage',
  'ec2messages:FailMessage',
  'ec2messages:GetEndpoint',
  'ec2messages:GetMessages',
  'ec2messages:SendReply',
];
