export default { render: renderDevice };
