// A DynamoDB of this machine's, by dynalite, with the gateway's table in it. It says its port and lives until it is stopped.
import dynalite from "dynalite";
import { tell } from "./gateway.mjs";

const { TABLE } = process.env;
const server = dynalite({ createTableMs: 0 });

/** Any signature will do: nobody checks it here. */
const call = async (operation, body) => {
  const response = await fetch(`http://127.0.0.1:${server.address().port}/`, {
    method: "POST",
    headers: {
      "content-type": "application/x-amz-json-1.0",
      "x-amz-target": `DynamoDB_20120810.${operation}`,
      "x-amz-date": "20260101T000000Z",
      authorization: "AWS4-HMAC-SHA256 Credential=a/20260101/local/dynamodb/aws4_request, SignedHeaders=host, Signature=b",
    },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(await response.text());
  return response.json();
};

server.listen(0, "127.0.0.1", async () => {
  await call("CreateTable", {
    TableName: TABLE,
    AttributeDefinitions: [
      { AttributeName: "pk", AttributeType: "S" },
      { AttributeName: "sk", AttributeType: "S" },
    ],
    KeySchema: [
      { AttributeName: "pk", KeyType: "HASH" },
      { AttributeName: "sk", KeyType: "RANGE" },
    ],
    BillingMode: "PAY_PER_REQUEST",
  });
  while ((await call("DescribeTable", { TableName: TABLE })).Table.TableStatus !== "ACTIVE");
  tell({ port: server.address().port });
});
